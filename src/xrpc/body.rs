//! Request bodies: bytes to types, bounded.

use super::{RequestHead, XrpcError, schemas::check_body};
use crate::limits::http::EXPLAINED_PARAMETERS;
use bytes::{Bytes, BytesMut};
use futures_util::stream::{BoxStream, StreamExt};
use http::{HeaderMap, header};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};
use std::{future::Future, marker::PhantomData};

/// A request body as it arrives: inflated if it was compressed, and bounded in time by the listener.
pub struct RequestBody {
    /// `Content-Type`, if any.
    pub content_type: Option<String>,
    /// `Content-Length`, if the body is not compressed and the client told.
    pub content_length: Option<u64>,
    /// The bytes.
    pub stream: BoxStream<'static, Result<Bytes, XrpcError>>,
}

impl RequestBody {
    /// A body without bytes.
    pub fn empty() -> Self {
        Self { content_type: None, content_length: None, stream: futures_util::stream::empty().boxed() }
    }

    /// A body in memory.
    pub fn full(content_type: &str, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self {
            content_type: Some(content_type.to_owned()),
            content_length: Some(bytes.len() as u64),
            stream: futures_util::stream::iter([Ok(bytes)]).boxed(),
        }
    }

    /// All of it, at most `max` bytes.
    ///
    /// # Errors
    /// 413 `PayloadTooLarge`, or what the stream failed with.
    pub async fn collect(mut self, max: usize) -> Result<Bytes, XrpcError> {
        if self.content_length.is_some_and(|length| length > max as u64) {
            return Err(XrpcError::too_large());
        }
        let Some(first) = self.stream.next().await.transpose()? else { return Ok(Bytes::new()) };
        if first.len() > max {
            return Err(XrpcError::too_large());
        }
        let Some(second) = self.stream.next().await.transpose()? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        let mut next = Some(second);
        while let Some(chunk) = next {
            if all.len() + chunk.len() > max {
                return Err(XrpcError::too_large());
            }
            all.extend_from_slice(&chunk);
            next = self.stream.next().await.transpose()?;
        }
        Ok(all.freeze())
    }

    /// The content type without parameters, lower-cased.
    pub fn mime(&self) -> Option<String> {
        let mime = self.content_type.as_deref()?.split(';').next()?.trim();
        (!mime.is_empty()).then(|| mime.to_ascii_lowercase())
    }
}

/// What a body can become.
pub trait FromBody: Sized + Send {
    /// Reads the body, at most `max` bytes if it is buffered.
    fn from_body(
        head: &RequestHead,
        body: RequestBody,
        max: usize,
    ) -> impl Future<Output = Result<Self, XrpcError>> + Send;
}

/// A JSON body (or answer).
#[derive(Clone, Copy, Debug)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned + Send> FromBody for Json<T> {
    async fn from_body(head: &RequestHead, body: RequestBody, max: usize) -> Result<Self, XrpcError> {
        let mime = body.mime();
        if mime.is_none() && !is_empty(&head.headers) {
            return Err(XrpcError::invalid("Request encoding (Content-Type) required but not provided"));
        }
        if let Some(mime) = &mime
            && mime != "application/json"
        {
            return Err(XrpcError::invalid(format!("Wrong request encoding (Content-Type): {mime}")));
        }
        let bytes = body.collect(max).await?;
        // No body at all means the same as an object without properties, for methods that demand none.
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        // The parser does not look into texts that nobody reads.
        let text = std::str::from_utf8(text)
            .map_err(|cause| XrpcError::invalid(format!("The request body is not valid JSON: {cause}")))?;
        let properties: Properties = serde_json::from_str(text).map_err(|error| explain::<T>(&error, text))?;
        let json = serde_json::Value::Object(properties.0);
        if bytes.is_empty() {
            let missing = |_| XrpcError::invalid("A request body is expected but none was provided");
            return T::deserialize(json).map(Self).map_err(missing);
        }
        check_body(&head.nsid, &json)?;
        T::deserialize(json).map(Self).map_err(|error| explain::<T>(&error, text))
    }
}

/// A whole JSON object, each of whose properties is there once.
struct Properties(serde_json::Map<String, serde_json::Value>);

impl<'de> Deserialize<'de> for Properties {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PropertiesVisitor).map(Self)
    }
}

struct PropertiesVisitor;

impl<'de> Visitor<'de> for PropertiesVisitor {
    type Value = serde_json::Map<String, serde_json::Value>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut properties = serde_json::Map::new();
        while let Some(name) = map.next_key::<String>()? {
            if properties.contains_key(&name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
            properties.insert(name, map.next_value()?);
        }
        Ok(properties)
    }
}

/// A JSON object that is read as `T`: what serde derives for a struct would also take an array of its fields' values.
#[derive(Clone, Copy, Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

fn explain<T: DeserializeOwned>(error: &serde_json::Error, text: &str) -> XrpcError {
    let cause = error.to_string();
    if error.classify() != serde_json::error::Category::Data {
        return XrpcError::invalid(format!("The request body is not valid JSON: {cause}"));
    }
    if let Some(name) = missing(&cause) {
        return XrpcError::invalid(format!("Input must have the property \"{name}\""));
    }
    match culprit::<T>(text) {
        Some(name) => XrpcError::invalid(format!("The property \"{name}\" is not valid: {cause}")),
        None => XrpcError::invalid(format!("The request body is not valid: {cause}")),
    }
}

fn missing(cause: &str) -> Option<&str> {
    cause.strip_prefix("missing field `")?.split('`').next()
}

/// The deserializer does not say which property it stumbled over: reading each alone finds it.
fn culprit<T: DeserializeOwned>(text: &str) -> Option<String> {
    let properties: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).ok()?;
    properties.into_iter().take(EXPLAINED_PARAMETERS).find_map(|(name, value)| {
        let alone = serde_json::Map::from_iter([(name.clone(), value)]);
        let refused = T::deserialize(serde_json::Value::Object(alone)).err()?;
        missing(&refused.to_string()).is_none().then_some(name)
    })
}

/// Whether the head announces no body.
fn is_empty(headers: &HeaderMap) -> bool {
    !headers.contains_key(header::TRANSFER_ENCODING)
        && headers.get(header::CONTENT_LENGTH).is_none_or(|length| length.as_bytes() == b"0")
}

/// No body is expected; an empty one or `{}` is fine.
#[derive(Clone, Copy, Debug)]
pub struct NoInput;

impl FromBody for NoInput {
    async fn from_body(_head: &RequestHead, body: RequestBody, max: usize) -> Result<Self, XrpcError> {
        let bytes = body.collect(max).await?;
        match bytes.trim_ascii() {
            b"" | b"{}" | b"null" => Ok(Self),
            _ => Err(XrpcError::invalid("A request body was provided when none was expected")),
        }
    }
}

/// A streamed upload; the method bounds it itself.
pub struct Upload(pub RequestBody);

impl FromBody for Upload {
    async fn from_body(_head: &RequestHead, body: RequestBody, _max: usize) -> Result<Self, XrpcError> {
        Ok(Self(body))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    struct Input {
        #[expect(dead_code, reason = "only its type matters")]
        identifier: String,
    }

    #[derive(Debug, Deserialize)]
    struct Optional {
        did: Option<String>,
    }

    fn head(length: Option<usize>) -> RequestHead {
        let mut headers = HeaderMap::new();
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        RequestHead { nsid: "com.example.test".to_owned(), headers, client_ip: [127, 0, 0, 1].into() }
    }

    async fn json<T: DeserializeOwned + Send>(content_type: Option<&str>, text: &str) -> Result<T, XrpcError> {
        let mut body = RequestBody::full("", text.to_owned());
        body.content_type = content_type.map(str::to_owned);
        Json::from_body(&head(Some(text.len())), body, 100).await.map(|Json(value)| value)
    }

    async fn message(content_type: Option<&str>, text: &str) -> String {
        let error = json::<Input>(content_type, text).await.unwrap_err();
        assert_eq!((error.status.as_u16(), error.name.as_ref()), (400, "InvalidRequest"), "{text}");
        error.message
    }

    #[tokio::test]
    async fn json_is_read_whatever_the_parameters_of_its_type() {
        for content_type in ["application/json", "application/json; charset=utf-8", "Application/JSON;x=y"] {
            json::<Input>(Some(content_type), r#"{"identifier":"a","more":1}"#).await.unwrap();
        }
    }

    #[tokio::test]
    async fn another_content_type_or_none_is_refused_in_the_references_words() {
        assert_eq!(message(Some("text/plain"), "{}").await, "Wrong request encoding (Content-Type): text/plain");
        assert_eq!(message(None, "{}").await, "Request encoding (Content-Type) required but not provided");
    }

    #[tokio::test]
    async fn broken_json_is_refused_with_its_position() {
        assert!(message(Some("application/json"), "{\"identifier\"").await.contains("line 1 column"));
        assert!(message(Some("application/json"), "\u{feff}{}").await.contains("not valid JSON"));
    }

    #[tokio::test]
    async fn a_missing_property_and_a_wrong_type_are_named() {
        assert_eq!(message(Some("application/json"), "{}").await, "Input must have the property \"identifier\"");
        let wrong = message(Some("application/json"), r#"{"more":[],"identifier":3}"#).await;
        assert!(wrong.starts_with("The property \"identifier\"") && wrong.contains("expected a string"), "{wrong}");
        let twice = message(Some("application/json"), r#"{"identifier":"a","identifier":"b"}"#).await;
        assert!(twice.contains("duplicate field `identifier`"), "{twice}");
    }

    #[tokio::test]
    async fn an_array_of_the_properties_values_is_no_object() {
        for text in ["[]", r#"["alice"]"#, r#""alice""#, "null", "1"] {
            let message = message(Some("application/json"), text).await;
            assert!(message.contains("expected an object"), "{text}: {message}");
        }
    }

    #[tokio::test]
    async fn deep_json_is_refused_without_a_stack_overflow() {
        let deep = r#"{"a":"#.repeat(200_000);
        let error = Json::<serde_json::Value>::from_body(
            &head(Some(deep.len())),
            RequestBody::full("application/json", deep),
            1_000_001,
        )
        .await
        .unwrap_err();
        assert!(error.message.contains("recursion limit"), "{}", error.message);
    }

    #[tokio::test]
    async fn no_body_serves_a_method_that_demands_nothing() {
        let none = Json::<Optional>::from_body(&head(None), RequestBody::empty(), 10).await.unwrap();
        assert_eq!(none.0.did, None);
        let error = Json::<Input>::from_body(&head(None), RequestBody::empty(), 10).await.unwrap_err();
        assert_eq!(error.message, "A request body is expected but none was provided");
    }

    #[tokio::test]
    async fn a_body_beyond_its_bound_is_refused_announced_or_not() {
        let announced = RequestBody::full("application/json", vec![b' '; 101]);
        let error = Json::<Optional>::from_body(&head(Some(101)), announced, 100).await.unwrap_err();
        assert_eq!((error.status.as_u16(), error.name.as_ref()), (413, "PayloadTooLarge"));

        let chunks = futures_util::stream::repeat_with(|| Ok(Bytes::from_static(b"        "))).boxed();
        let endless =
            RequestBody { content_type: Some("application/json".into()), content_length: None, stream: chunks };
        assert_eq!(endless.collect(100).await.unwrap_err().status.as_u16(), 413);
    }

    #[tokio::test]
    async fn a_method_without_input_takes_nothing_and_an_empty_object() {
        for text in ["", "{}", " {} \n", "null"] {
            NoInput::from_body(&head(Some(text.len())), RequestBody::full("", text.to_owned()), 100).await.unwrap();
        }
        let error = NoInput::from_body(&head(Some(7)), RequestBody::full("", "{\"a\":1}"), 100).await.unwrap_err();
        assert_eq!(error.message, "A request body was provided when none was expected");
    }
}
