"""The Python `atproto` package logs in, posts and reads the event stream of the server that `housekey exec` started."""

import os
import threading

from atproto import CAR, Client, FirehoseSubscribeReposClient, models, parse_subscribe_repos_message

PDS = os.environ['HOUSEKEY_DEV_PDS_URL']


def test_logs_in_posts_and_reads_the_stream() -> None:
    client = Client(base_url=PDS)
    # The package asks the AppView for a profile after login; there is none here.
    session = client.com.atproto.server.create_session(
        models.ComAtprotoServerCreateSession.Data(
            identifier=os.environ['HOUSEKEY_DEV_ALICE_HANDLE'], password=os.environ['HOUSEKEY_DEV_ALICE_PASSWORD']
        )
    )
    assert session.did == os.environ['HOUSEKEY_DEV_ALICE_DID']
    client.request.set_additional_headers({'Authorization': f'Bearer {session.access_jwt}'})

    seen: list[models.ComAtprotoSyncSubscribeRepos.Commit] = []
    ready = threading.Event()
    arrived = threading.Event()
    firehose = FirehoseSubscribeReposClient(
        models.ComAtprotoSyncSubscribeRepos.Params(cursor=0), base_uri=PDS.replace('http', 'ws') + '/xrpc'
    )

    def on_message(message) -> None:
        ready.set()
        event = parse_subscribe_repos_message(message)
        if isinstance(event, models.ComAtprotoSyncSubscribeRepos.Commit) and event.ops:
            seen.append(event)
            arrived.set()

    reader = threading.Thread(target=firehose.start, args=(on_message,), daemon=True)
    reader.start()
    assert ready.wait(10), 'the stream said nothing'

    created = client.com.atproto.repo.create_record(
        models.ComAtprotoRepoCreateRecord.Data(
            repo=session.did,
            collection='app.bsky.feed.post',
            record=models.AppBskyFeedPost.Record(text='from Python', created_at=client.get_current_time_iso()),
        )
    )
    assert arrived.wait(10), 'the post did not come through the stream'
    firehose.stop()
    assert str(seen[0].ops[0].cid) == created.cid
    blocks = CAR.from_bytes(seen[0].blocks).blocks
    assert any(block.get('text') == 'from Python' for block in blocks.values())

    listed = client.com.atproto.repo.list_records(
        models.ComAtprotoRepoListRecords.Params(repo=session.did, collection='app.bsky.feed.post')
    )
    assert [record.uri for record in listed.records] == [created.uri]


if __name__ == '__main__':
    test_logs_in_posts_and_reads_the_stream()
    print('1 passed, 0 failed')
