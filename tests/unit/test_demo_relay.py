"""The relay passes everything on, and writes down everything that it passed."""

import socket
import threading

import pytest

from sourdine_tools.demo import records
from sourdine_tools.demo.relay import IN, OUT, Relay


@pytest.fixture
def server():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def read(connection, n):
    data = b""
    while len(data) < n:
        piece = connection.recv(n - len(data))
        assert piece, "closed too early"
        data += piece
    return data


def test_bytes_pass_both_ways_unchanged_and_are_written_down(server):
    question, answer = bytes(range(256)) * 4000, b"answer" * 50_000
    with Relay(*server.getsockname()) as relay:
        board = socket.create_connection(("127.0.0.1", relay.port), timeout=10)
        there, _ = server.accept()
        there.settimeout(10)
        sender = threading.Thread(target=board.sendall, args=(question,))
        sender.start()
        assert read(there, len(question)) == question
        sender.join()
        sender = threading.Thread(target=there.sendall, args=(answer,))
        sender.start()
        assert read(board, len(answer)) == answer
        sender.join()
        board.close()
        assert there.recv(1) == b""  # the end is passed on too
        there.close()
    (connection,) = relay.connections
    assert bytes(connection.sent[OUT]) == question
    assert bytes(connection.sent[IN]) == answer
    assert connection.closed


def test_connections_are_kept_apart_and_in_order(server):
    with Relay(*server.getsockname()) as relay:
        for word in (b"one", b"two"):
            with socket.create_connection(("127.0.0.1", relay.port), timeout=10) as board:
                board.sendall(word)
                there, _ = server.accept()
                assert read(there, 3) == word
                there.close()
                assert board.recv(1) == b""
    assert [bytes(connection.sent[OUT]) for connection in relay.connections] == [b"one", b"two"]


def test_a_server_that_is_away_closes_the_connection(server):
    address = server.getsockname()
    server.close()
    with Relay(*address) as relay, socket.create_connection(("127.0.0.1", relay.port), timeout=10) as board:
        assert board.recv(1) == b""
    assert relay.connections[0].closed


def test_records_are_split_and_an_unfinished_one_is_counted():
    stream = b"\x16\x03\x01\x00\x02ab" + b"\x17\x03\x03\x00\x01c" + b"\x17\x03\x03\x00\x09d"
    found, rest = records.records(stream)
    assert [(record.kind, record.body, record.start, record.end) for record in found] == [
        (records.HANDSHAKE, b"ab", 0, 7),
        (records.DATA, b"c", 7, 13),
    ]
    assert rest == 6


def test_a_record_shorter_than_its_cipher_adds_is_unaccountable():
    data, _ = records.records(b"\x17\x03\x03\x00\x01c")
    with pytest.raises(records.Unaccountable, match="shorter"):
        records.plaintext_lengths(data, 24)


def test_a_server_that_never_said_hello_is_unaccountable():
    with pytest.raises(records.Unaccountable, match="hello"):
        records.overhead([])
