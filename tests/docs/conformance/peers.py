"""Servers of event streams that others have built, each as a command with its configuration."""

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.bench.proxies import SEARCH_PATH
from tests.kit.nginx import CONFIG, on_loopback
from tests.kit.snippets import snippets

BACKEND, SIDECAR = 18000, 18080
ASKED = "/api/chat?n=60&interval_ms=100&seed=conformance"
MODULES = Path("/usr/lib/nginx/modules")

NGINX_DEFAULTS = """\
server {
    listen 443 ssl http2;
    location / { proxy_pass http://127.0.0.1:8000; }
}
"""
HAPROXY = """\
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    server one 127.0.0.1:{backend}
"""
CADDY = """\
{{
    admin off
    auto_https off
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{backend}
}}
"""
PUSHPIN = """\
[global]
include={{libdir}}/internal.conf
rundir={folder}/run
ipc_prefix=conformance-
[runner]
services=condure,pushpin-proxy,pushpin-handler
http_port={port}
logdir={folder}/log
log_level=2
client_buffer_size=8192
client_maxconn=5000
condure_bin=condure
[proxy]
routesfile={folder}/routes
zurl_out_specs=ipc://{folder}/run/zurl-in
zurl_out_stream_specs=ipc://{folder}/run/zurl-in-stream
zurl_in_specs=ipc://{folder}/run/zurl-out
updates_check=off
[handler]
push_in_spec=tcp://127.0.0.1:18560
push_in_sub_specs=tcp://127.0.0.1:18562
push_in_http_addr=127.0.0.1
push_in_http_port=18561
command_spec=tcp://127.0.0.1:18563
message_rate=2500
message_hwm=25000
"""
NCHAN = "load_module /usr/lib/nginx/modules/ngx_nchan_module.so;\n" + CONFIG.replace(
    "include {folder}/site.conf;", "include {folder}/hub.conf;"
)
HUB = """\
server {{
    listen 127.0.0.1:{port};
    location = /publish {{
        nchan_publisher;
        nchan_channel_id feed;
        nchan_message_buffer_length 3000;
        nchan_message_timeout 5m;
    }}
    location = /subscribe {{
        nchan_subscriber eventsource;
        nchan_channel_id feed;
        nchan_subscriber_first_message newest;
        nchan_eventsource_ping_interval 1;
    }}
}}
"""
ZURL = """\
[General]
in_spec=ipc://{folder}/run/zurl-in
in_stream_spec=ipc://{folder}/run/zurl-in-stream
out_spec=ipc://{folder}/run/zurl-out
defpolicy=allow
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: its name in the table, its port, how it is run, and which Debian package brings it.

    In ``command`` and ``files``, {port}, {backend}, {sidecar}, {python} and {folder} (its own) are filled in.
    """

    name: str
    port: int
    command: str
    files: dict[str, str]
    package: str
    beside: str = ""
    """A second process that it needs, without a port."""

    asked: str = ASKED
    """What its users ask for."""

    module: str = ""
    """Of nginx, where it is one."""

    @property
    def is_missing(self) -> bool:
        """Whether its program is not installed."""
        program = shutil.which(shlex.split(self.command)[0], path=SEARCH_PATH)
        return program is None or (self.module != "" and not (MODULES / self.module).exists())

    def written(self, folder: Path) -> list[list[str]]:
        """Write its files into a folder, and return its commands, that of its port first."""
        for name in ("run", "log"):
            (folder / name).mkdir()
        for name, text in self.files.items():
            (folder / name).write_text(self._filled(text, folder))
        return [self._words(command, folder) for command in (self.command, self.beside) if command]

    def _words(self, command: str, folder: Path) -> list[str]:
        words = shlex.split(self._filled(command, folder))
        return [shutil.which(words[0], path=SEARCH_PATH) or words[0], *words[1:]]

    def _filled(self, text: str, folder: Path) -> str:
        return text.format(
            port=self.port, backend=BACKEND, sidecar=SIDECAR, folder=folder, python=sys.executable
        )


def _nginx(name: str, port: int, site: str) -> Peer:
    """Return nginx with a site, whose braces are its own."""
    addresses = {"127.0.0.1:8080": f"127.0.0.1:{SIDECAR}"}
    site = on_loopback(site, port, addresses).replace("127.0.0.1:8000", f"127.0.0.1:{BACKEND}")
    files = {"nginx.conf": CONFIG, "site.conf": site.replace("{", "{{").replace("}", "}}")}
    return Peer(name, port, "nginx -c {folder}/nginx.conf -e stderr", files, "nginx-light")


GUIDE = snippets("implementation-guide.md")["nginx-sse.conf"]

PEERS = (
    _nginx("nginx (defaults)", 18011, NGINX_DEFAULTS),
    _nginx("nginx (for streams)", 18012, GUIDE.replace("127.0.0.1:8080", "127.0.0.1:8000")),
    Peer("HAProxy", 18013, "haproxy -db -f {folder}/haproxy.cfg", {"haproxy.cfg": HAPROXY}, "haproxy"),
    Peer(
        "Caddy",
        18014,
        "caddy run --config {folder}/Caddyfile",
        {"Caddyfile": CADDY},
        "caddy",
    ),
    Peer(
        "Pushpin",
        18015,
        "pushpin --config {folder}/pushpin.conf --merge-output",
        {"pushpin.conf": PUSHPIN, "routes": "* 127.0.0.1:{backend}\n", "zurl.conf": ZURL},
        "pushpin",
        beside="zurl --config={folder}/zurl.conf",
    ),
    Peer(
        "Nchan (a hub, as a feed)",
        18017,
        "nginx -c {folder}/nginx.conf -e stderr",
        {"nginx.conf": NCHAN, "hub.conf": HUB},
        "libnginx-mod-nchan",
        beside="{python} -m tests.docs.conformance.publisher http://127.0.0.1:{port}/publish",
        asked="/subscribe",
        module="ngx_nchan_module.so",
    ),
    _nginx("nginx in front of the sidecar", 18016, GUIDE),
)
