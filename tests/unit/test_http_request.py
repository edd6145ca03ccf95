"""A request as gunicorn's worker passes it on."""

import pytest
from gunicorn.http.errors import InvalidHeader, InvalidRequestLine, LimitRequestHeaders

from deploy.http_request import MAX_FIELDS, Request, read_request

BODY = b"12345"


def read(
    first: str = "POST / HTTP/1.1", *fields: str, body: bytes = b"", is_cut: bool = False
) -> Request:
    head = "\r\n".join([first, "Host: x", *fields, "", ""])
    return read_request(head.encode("latin-1") + body, is_cut=is_cut)


class TestFirstLine:
    """Method, target and version."""

    @pytest.mark.parametrize("method", ["GET", "CONNECT", "PRI", "SOURCE", "UN-KNOWN"])
    def test_any_method_is_passed_on(self, method):
        assert read(f"{method} / HTTP/1.1").environ({})["REQUEST_METHOD"] == method

    @pytest.mark.parametrize(
        ("target", "path", "query"),
        [
            ("/a%20b%C3%A9?c=%20&d", "/a bÃ©", "c=%20&d"),
            ("//a?", "//a", ""),
            ("http://x/a?b", "/a", "b"),
            ("http://x", "/", ""),
            ("/a#b", "/a", ""),
        ],
    )
    def test_target_is_a_decoded_path_and_a_query(self, target, path, query):
        environ = read(f"GET {target} HTTP/1.1").environ({})
        assert (environ["PATH_INFO"], environ["QUERY_STRING"]) == (path, query)

    @pytest.mark.parametrize(
        "line",
        [
            "GET / RTSP/1.0",
            "GET  / HTTP/1.1",
            "GET / HTTP/1.1 ",
            "\nGET / HTTP/1.1",
            "",
            "GET http://[ HTTP/1.1",
            "G\0T / HTTP/1.1",
        ],
    )
    def test_any_other_is_refused(self, line):
        with pytest.raises(InvalidRequestLine):
            read(line)


class TestFields:
    """The fields of the head."""

    def test_names_are_those_of_pep_3333(self):
        fields = ["Content-Type: a", "Content-Length: 5", "X-Request-ID: \xe9 \t", "A: 1", "a: 2"]
        environ = read("POST / HTTP/1.1", *fields, body=BODY).environ({"HTTP_A": "of before"})
        expected = {
            "CONTENT_TYPE": "a",
            "CONTENT_LENGTH": "5",
            "HTTP_X_REQUEST_ID": "\xe9",
            "HTTP_A": "1,2",
        }
        assert environ.items() >= expected.items()
        assert environ["wsgi.input"].read() == BODY

    def test_name_with_an_underscore_is_no_other_field(self):
        fields = read("GET / HTTP/1.1", "X-Forwarded-For: 1", "X_Forwarded_For: 2").fields
        assert fields == {"HTTP_HOST": "x", "HTTP_X_FORWARDED_FOR": "1"}

    def test_trailers_are_no_fields(self):
        body = b"5\r\n12345\r\n0\r\nHost: y\r\nAuthorization: z\r\n\r\n"
        request = read("POST / HTTP/1.1", "Transfer-Encoding: chunked", body=body)
        assert request.fields == {"HTTP_HOST": "x", "HTTP_TRANSFER_ENCODING": "chunked"}
        assert request.body.read() == BODY

    def test_their_number_is_limited(self):
        fields = ["A: b"] * (MAX_FIELDS - 1)
        assert read("GET / HTTP/1.1", *fields)
        with pytest.raises(LimitRequestHeaders):
            read("GET / HTTP/1.1", *fields, "A: b")

    @pytest.mark.parametrize("field", ["Host: x", "Content-Type: a"])
    def test_repeated_ones_that_can_be_no_list_are_refused(self, field):
        with pytest.raises(InvalidHeader):
            read("GET / HTTP/1.1", "Content-Type: a", field)

    @pytest.mark.parametrize(
        ("version", "fields", "is_last"),
        [
            ("1.1", [], False),
            ("1.1", ["Connection: a, Close"], True),
            ("1.1", ["Connection: upgrade", "Upgrade: h2c"], False),
            ("1.0", [], True),
            ("1.0", ["Connection: Keep-Alive"], False),
        ],
    )
    def test_they_say_whether_another_request_follows(self, version, fields, is_last):
        assert read(f"GET / HTTP/{version}", *fields).should_close() == is_last


class TestBody:
    """Where a request ends."""

    @pytest.mark.parametrize("offer", ["Upgrade: h2c", "uPGRADE:h2c", "Upgrade:"])
    @pytest.mark.parametrize(
        ("framing", "body"),
        [
            ("Content-Length: 5", BODY),
            ("Transfer-Encoding: chunked", b"5\r\n12345\r\n0\r\n\r\n"),
        ],
    )
    def test_offer_of_another_protocol_does_not_change_it(self, offer, framing, body):
        fields = ["Connection: Upgrade", offer, framing]
        assert read("POST / HTTP/1.1", *fields, body=body).body.read() == BODY

    def test_second_request_in_it_is_refused(self):
        with pytest.raises(InvalidHeader):
            read("GET / HTTP/1.1", body=b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")

    def test_only_a_cut_one_may_lack_its_end(self):
        line, length = "POST / HTTP/1.1", "Content-Length: 6"
        with pytest.raises(InvalidHeader):
            read(line, length, body=BODY)
        assert read(line, length, body=BODY, is_cut=True).fields["CONTENT_LENGTH"] == "6"

    @pytest.mark.parametrize("coding", ["gzip, chunked", "chunked;a=b", "gzip"])
    def test_coding_beside_chunked_is_refused(self, coding):
        with pytest.raises(InvalidHeader):
            read("POST / HTTP/1.1", f"Transfer-Encoding: {coding}", body=b"0\r\n\r\n")

    def test_cut_head_is_refused(self):
        with pytest.raises(InvalidHeader):
            read_request(b"GET / HTTP/1.1\r\nHost: x\r\n", is_cut=True)
