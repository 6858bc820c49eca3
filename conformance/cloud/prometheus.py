"""A real Prometheus that scrapes what the proof exposes."""

import http.server
import threading

from alarms.receiver import Listener
from cloud.programs import Programs
from harness.keystone import Keystone
from harness.postgres import free_port

CONF = """
global: {{scrape_interval: 2s, scrape_timeout: 2s}}
scrape_configs:
- job_name: cloud
  honor_labels: true
  static_configs: [{{targets: ['127.0.0.1:{port}']}}]
"""


class Exposition:
    """What there is to scrape: lines of Prometheus's text format."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        exposition = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Shows the lines."""

            def do_GET(self) -> None:
                """All of them."""
                body = "".join(f"{line}\n" for line in exposition.lines).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

        self.server = Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stops showing them."""
        self.server.shutdown()
        self.server.server_close()


def start(programs: Programs, identity: Keystone) -> Exposition:
    """Starts Prometheus and enters it into the catalogue; what it scrapes."""
    exposition, port = Exposition(), free_port()
    conf = programs.write("prometheus.yml", CONF.format(port=exposition.server.server_port))
    programs.start("prometheus", "prometheus", f"--config.file={conf}", f"--storage.tsdb.path={programs.root}/tsdb",
                   f"--web.listen-address=127.0.0.1:{port}")
    identity.add_endpoint("metric-storage", programs.wait("prometheus", port))
    return exposition
