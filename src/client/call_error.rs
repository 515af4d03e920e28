//! Why a call of another server gave nothing.

/// Why a call gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// No whole answer.
    #[error("{0} could not be asked: {1}")]
    Unreachable(String, String),
    /// A refusal in the server's words.
    #[error("{host} refused: {}{message}", name.as_ref().map(|name| format!("{name}: ")).unwrap_or_default())]
    Refused {
        /// Who.
        host: String,
        /// HTTP status.
        status: u16,
        /// The name of the error.
        name: Option<String>,
        /// Its sentence.
        message: String,
    },
    /// It says something else than the method does.
    #[error("{0} answered something else than {1} does")]
    Strange(String, &'static str),
    /// It mails a code for each sign-in, and there is nobody to ask for it.
    #[error("{host} has mailed a sign-in code to the account's address: run this again with {option} CODE")]
    SignInCode {
        /// Who.
        host: String,
        /// What takes the code.
        option: &'static str,
    },
    /// It does not take the code.
    #[error("{host} does not take the sign-in code: {message}; without {option} another code is mailed")]
    WrongSignInCode {
        /// Who.
        host: String,
        /// Its sentence.
        message: String,
        /// What took the code.
        option: &'static str,
    },
}

impl CallError {
    /// Whether this is the refusal of that name.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { name: Some(name), .. } if name == wanted)
    }

    /// Whether it waits for a code that the owner of the account has to look for in the mail.
    pub const fn waits_for_code(&self) -> bool {
        matches!(self, Self::SignInCode { .. } | Self::WrongSignInCode { .. })
    }

    /// Whether the server surely said no, as opposed to being in trouble.
    pub const fn is_definite(&self) -> bool {
        matches!(self, Self::Refused { status: 400..=428 | 430..=499 | 501, .. })
    }

    /// Whether what was asked for is refused, as opposed to whoever asks.
    pub const fn is_about_this(&self) -> bool {
        self.is_definite() && !matches!(self, Self::Refused { status: 401 | 403 | 407 | 408, .. })
    }

    /// Whether the server failed over this; it may be well otherwise.
    pub const fn is_breakdown(&self) -> bool {
        matches!(self, Self::Refused { status: 500..=599, .. }) && !self.is_busy()
    }

    /// Whether the server has had too many requests, or no time.
    pub const fn is_busy(&self) -> bool {
        matches!(self, Self::Refused { status: 429 | 503, .. })
    }

    /// Whether the server does not know the method.
    pub fn is_unknown_method(&self) -> bool {
        matches!(self, Self::Refused { status: 404 | 501, .. }) || self.is("MethodNotImplemented")
    }
}
