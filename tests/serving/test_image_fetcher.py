"""Pictures by URL: forbidden addresses are not reached, in any spelling."""

import asyncio
import gzip
import re
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from app.errors import ImageTooLarge, InvalidImage, InvalidRequest, LarderError, Overloaded
from app.serving.image_fetcher import MAX_REDIRECTS, ImageFetcher
from app.serving.url_policy import UrlPolicy, parse_url
from tests.fakes import as_bytes, picture

RED = as_bytes(picture("red"))


class Site(ThreadingHTTPServer):
    """A local server; its paths determine the responses."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.seen: list[tuple[str, str]] = []  # host and path of each request
        super().__init__((address, 0), Pages)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self.shutdown()
        self.server_close()

    @property
    def port(self) -> int:
        return self.server_address[1]


class Pages(BaseHTTPRequestHandler):
    """The site's responses, by the first segment of the path."""

    server: Site

    def do_GET(self) -> None:
        self.server.seen.append((self.headers["Host"], self.path))
        kind, _, rest = self.path[1:].partition("/")
        if kind == "to":  # a redirect to the rest of the path
            self.answer(302, b"", Location=rest)
        elif kind == "chain":  # this many redirects
            self.answer(307, b"", Location=f"/chain/{int(rest) - 1}" if int(rest) > 1 else "/red.png")
        elif kind == "endless":
            self.answer(200, RED, more=True)
        elif kind == "slow":
            self.answer(200, b"")
            time.sleep(1)
        elif kind == "gzip":
            self.answer(200, gzip.compress(RED), **{"Content-Encoding": "gzip"})
        elif kind == "crumbs":
            self.answer(200, b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n", **{"Transfer-Encoding": "chunked"})
        elif kind == "hints":  # interim responses, as many as the rest of the path says
            for _ in range(int(rest)):
                self.send_response_only(103)
                self.end_headers()
            self.answer(200, RED)
        elif kind == "lie":
            self.answer(200, b"", **{"Content-Length": "999999999"})
        else:
            self.answer(200 if kind == "red.png" else 404, RED)

    def answer(self, status: int, body: bytes, more: bool = False, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            self.wfile.write(body)
            while more:
                self.wfile.write(bytes(65536))
        except OSError:
            return

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def fetch(allowed: list[str], *urls: str, names: dict[str, list[str]] | None = None, **options: object) -> list[bytes]:
    """Fetch the pictures at the URLs; names resolve by `names`, others to loopback."""

    async def run() -> list[bytes]:
        bounds = {"max_bytes": 10_000, "max_bytes_in_progress": 20_000, "deadline_s": 5} | options
        resolve = lambda host, port: (names or {}).get(host, ["127.0.0.1"])  # noqa: E731
        fetcher = ImageFetcher(UrlPolicy(allowed), resolve=bounds.pop("resolve", resolve), **bounds)
        async with fetcher.fetch(urls) as pictures:
            return pictures

    return asyncio.run(run())


HOSTS = re.split(
    r"\s+",
    """127.0.0.1 127.0.0.2 127.1 127.0.1 2130706433 0x7f000001 0x7f.1 0x7f.0.0.1 017700000001 0177.0.0.1 0 0.0.0.0
    00.0.0.0 127.0.0.1. 127.0.0.01 1.1.1.999 10.0.0.1 172.16.0.1 192.168.0.1 169.254.169.254 0xa9fea9fe 100.64.0.1
    100.100.100.200 168.63.129.16 192.0.0.1 192.0.2.1 198.18.0.1 203.0.113.1 224.0.0.1 239.255.255.250 240.0.0.1
    255.255.255.255 [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:a9fe:a9fe] [::127.0.0.1]
    [::ffff:0:127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::169.254.169.254] [64:ff9b:1::7f00:1] [2002:7f00:1::]
    [2002:a9fe:a9fe::1] [2001:0:7f00:1::] [fe80::1] [fe80::1%25lo] [fc00::1] [fd00:ec2::254] [fec0::1] [ff02::1]
    [2001:db8::1] [100::1] [::1 [::1]] [v1.a] localhost LOCALHOST localhost. sub.localhost innocent.test
    xn--nxasmq6b.test ｌｏｃａｌｈｏｓｔ １２７.0.0.1 127。0。0。1 ①②⑦.⓪.⓪.① user@127.0.0.1 user:pass@innocent.test
    example.org@127.0.0.1 127.0.0.1%2f@example.org 127.0.0.1%00.example.org example.org%2f 127.0.0.1\\@example.org
    \\\\127.0.0.1 -a.test a..test .test . %31%32%37.0.0.1 ex\x00ample.org a_b!.test""",
)


@pytest.mark.parametrize("host", HOSTS)
def test_no_way_of_writing_a_forbidden_address_reaches_it(site, host):
    """With any host allowed, loopback, private and special addresses are still rejected in every spelling."""
    before = len(site.seen)
    with pytest.raises(InvalidRequest):
        fetch(["*", f"*:{site.port}"], f"http://{host}:{site.port}/red.png")
    assert len(site.seen) == before


@pytest.mark.parametrize("host", [host for host in HOSTS if host.isascii() and host.isprintable()])
def test_no_redirect_reaches_it_either(site, host):
    """Each redirect is checked like the first URL; an invalid Location is also our own error."""
    before = len(site.seen)
    with Site("127.0.0.77") as allowed, pytest.raises(InvalidRequest):
        fetch(["127.0.0.77"], f"http://127.0.0.77:{allowed.port}/to/http://{host}:{site.port}/red.png")
    assert len(site.seen) == before


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "ftp://example.org/a", "gopher://example.org/", "//example.org/a", "/etc/passwd", ""),
        *("red.png", "http://", "http:///a", "http:example.org", "http:/example.org", "https://example.org:99999/"),
        *("http://example.org:x/", "http://example.org/\r\nHost: a", "http://example.org/a b", " http://example.org/"),
        *("http://example.org\t/", "http://example.org/" + "a" * 3000, "javascript:alert(1)", "http://exa\nmple.org/"),
        "unix:///var/run/docker.sock",
    ],
)  # fmt: skip
def test_what_is_no_plain_http_url_is_refused(url):
    """Other schemes, control characters and ambiguous URLs are rejected."""
    with pytest.raises(InvalidRequest):
        fetch(["*"], url)


def test_an_allowed_picture_is_fetched(site):
    """An allowed network permits any name; Host keeps the name."""
    assert fetch(["127.0.0.0/8"], f"http://pictures.test:{site.port}/red.png") == [RED]
    assert site.seen[-1] == (f"pictures.test:{site.port}", "/red.png")


@pytest.mark.parametrize(
    ("allowed", "url", "covered"),
    [
        ("example.org", "http://example.org/a", True),
        ("example.org", "https://EXAMPLE.org./a", True),
        ("example.org", "http://sub.example.org/a", False),
        ("example.org", "http://example.org:8080/a", False),
        ("example.org:8080", "http://example.org:8080/a", True),
        ("*.example.org", "http://sub.example.org/a", True),
        ("*.example.org", "http://example.org/a", False),
        ("*.example.org", "http://badexample.org/a", False),
        ("https://example.org/photos/", "https://example.org/photos/a.jpg", True),
        ("https://example.org/photos/", "http://example.org/photos/a.jpg", False),
        ("https://example.org/photos/", "https://example.org/photos/../secret", False),
        ("https://example.org/photos/", "https://example.org/photos/%2e%2E/secret", False),
        ("https://example.org/photos/", "https://example.org/photos", False),
        ("https://example.org/photos/", "https://example.org.evil.test/photos/a", False),
        ("192.0.32.0/24", "http://example.org/a", True),
        ("192.0.33.0/24", "http://example.org/a", False),
    ],
)
def test_hosts_prefixes_and_networks_are_allowed(allowed, url, covered):
    """A host does not allow its subdomains, other ports or other paths."""
    from ipaddress import ip_address

    found = UrlPolicy([allowed]).allowed_among(parse_url(url), [ip_address("192.0.32.10")])
    assert bool(found) is covered


def test_of_several_addresses_only_allowed_ones_are_tried(site):
    """For a name with a public and a private address only the allowed one is used."""
    names = {"both.test": ["10.0.0.1", "127.0.0.1", "169.254.169.254"]}
    assert fetch(["127.0.0.0/8"], f"http://both.test:{site.port}/red.png", names=names) == [RED]


def test_a_name_that_changes_is_resolved_once(site):
    """Against DNS rebinding, the connection goes to the address that was checked."""
    answers = iter([["127.0.0.1"], ["127.0.0.9"]])
    url = f"http://rebinding.test:{site.port}/red.png"
    assert fetch(["127.0.0.1/32"], url, resolve=lambda host, port: next(answers)) == [RED]
    assert next(answers) == ["127.0.0.9"]


def test_redirects_are_followed_a_few_times(site):
    """At most three redirects are followed, also relative ones."""
    for hops in range(1, MAX_REDIRECTS + 1):
        assert fetch(["127.0.0.0/8"], f"http://a.test:{site.port}/chain/{hops}") == [RED]
    for url in (f"http://a.test:{site.port}/chain/{MAX_REDIRECTS + 1}", f"http://a.test:{site.port}/chain/1000"):
        with pytest.raises(InvalidRequest, match="redirects more than 3 times"):
            fetch(["127.0.0.0/8"], url)


@pytest.mark.parametrize(
    ("path", "error", "message"),
    [
        ("endless", ImageTooLarge, "more than 10,000 bytes"),
        ("lie", ImageTooLarge, "more than 10,000 bytes"),
        ("crumbs", InvalidImage, "chunks of a few bytes"),
        ("hints/5000", InvalidImage, "cannot be fetched"),
        ("slow", InvalidImage, "within 0.5 s"),
        ("gzip", InvalidImage, "compressed"),
        ("missing", InvalidImage, "status 404"),
    ],
)
def test_bytes_and_seconds_are_bounded(site, path, error, message):
    """The limits hold for servers that send too much, too slowly or nothing."""
    with pytest.raises(error, match=message):
        fetch(["127.0.0.0/8"], f"http://a.test:{site.port}/{path}", deadline_s=0.5 if path == "slow" else 20)


def test_a_few_interim_responses_are_passed_over(site):
    """Early hints before the final response are skipped."""
    assert fetch(["127.0.0.0/8"], f"http://a.test:{site.port}/hints/20") == [RED]


def test_nobody_there_is_said_without_details():
    """A closed port or an unknown name is an error of the picture, without an address in it."""

    def missing(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    for resolve in (missing, lambda host, port: ["127.0.0.1"]):
        with pytest.raises(InvalidImage, match="^the picture cannot be fetched from its URL$"):
            fetch(["127.0.0.0/8"], "http://a.test:1/red.png", resolve=resolve)


def test_the_pictures_of_a_request_are_bounded_together(site):
    """The limits apply to the sum of a request's pictures, and to that of all requests."""
    url = f"http://a.test:{site.port}/red.png"
    assert fetch(["127.0.0.0/8"], url, url) == [RED, RED]
    with pytest.raises(ImageTooLarge):
        fetch(["127.0.0.0/8"], *[url] * 3, max_bytes=2 * len(RED))
    with pytest.raises(Overloaded):
        fetch(["127.0.0.0/8"], *[url] * 3, max_bytes_in_progress=2 * len(RED))


def test_bytes_are_given_back(site):
    """The byte budget is released after each request, also after a failed one."""

    async def run() -> None:
        fetcher = ImageFetcher(
            UrlPolicy(["127.0.0.0/8"]),
            max_bytes=10_000,
            max_bytes_in_progress=len(RED),
            resolve=lambda *_: ["127.0.0.1"],
        )
        for path in ("red.png", "endless", "missing", "red.png"):
            try:
                async with fetcher.fetch([f"http://a.test:{site.port}/{path}"]) as pictures:
                    assert pictures == [RED]
            except LarderError:
                assert path in ("endless", "missing")

    asyncio.run(run())


def test_without_the_setting_nothing_is_fetched(site):
    """It is off, and says how it is switched on."""
    before = len(site.seen)
    with pytest.raises(InvalidRequest, match="switched off: see LARDER_IMAGE_URLS"):
        fetch([], f"http://127.0.0.1:{site.port}/red.png")
    assert len(site.seen) == before


def certificate(name: str) -> tuple[bytes, bytes]:
    """A self-signed certificate for a name, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.public_bytes(serialization.Encoding.PEM), key.private_bytes(serialization.Encoding.PEM, *form)


def test_tls_is_with_the_name_and_not_with_the_address(tmp_path):
    """The certificate has to match the name, which is also sent to the server (SNI)."""
    (tmp_path / "pem").write_bytes(b"".join(certificate("pictures.test")))
    told = []
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "pem")
    server.sni_callback = lambda connection, name, context: told.append(name)
    trusting = ssl.create_default_context(cafile=str(tmp_path / "pem"))
    with Site() as site:
        site.socket = server.wrap_socket(site.socket, server_side=True)
        allowed = {"ssl_context": trusting, "deadline_s": 20}
        assert fetch(["127.0.0.1"], f"https://pictures.test:{site.port}/red.png", **allowed) == [RED]
        with pytest.raises(InvalidImage):
            fetch(["127.0.0.1"], f"https://other.test:{site.port}/red.png", **allowed)
        with pytest.raises(InvalidRequest, match="from https to http"):
            url = f"https://pictures.test:{site.port}/to/http://pictures.test:{site.port}/red.png"
            fetch(["127.0.0.1"], url, **allowed)
    assert told == ["pictures.test", "other.test", "pictures.test"]
