"""A real libvirtd with real guests, in namespaces of their own: started, stopped and killed by a proof; guests take orders."""

import glob
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "nephometer")
MODULES = ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "virtio_balloon",
           "failover", "net_failover", "virtio_net", "virtio_blk")
URI = "qemu+unix:///system?socket={}"
PROJECT, USER = "8c7b6a5f4e3d4c2b9a1f0e9d8c7b6a5f", "1d9a7f6e5c4b4a3f8e2d1c0b9a8f7e6d"


def guest_files() -> tuple[str, str]:
    """Kernel and initial file system of the guests, made once of Debian's packages and kept in the cache."""
    with open(f"{HERE}/guest-init.sh", "rb") as init:
        key = hashlib.sha256(init.read()).hexdigest()[:12]
    place = f"{CACHE}/guest-{key}"
    if not os.path.exists(f"{place}/complete"):
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place)
        _make_guest(place)
        open(f"{place}/complete", "w").close()
    return f"{place}/vmlinuz", f"{place}/initrd.gz"


def _make_guest(place: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        depends = _run("apt-cache", "depends", "linux-image-cloud-amd64").stdout
        kernel = re.search(r"Depends: (linux-image-\d\S+)", depends)
        if not kernel:
            raise RuntimeError("Debian has no linux-image-cloud-amd64")
        # apt's own user must be able to write here, or apt warns.
        os.chmod(work, 0o777)
        _run("apt-get", "-q", "download", "busybox-static", kernel.group(1), cwd=work)
        for package in glob.glob(f"{work}/*.deb"):
            _run("dpkg", "-x", package, f"{work}/root")
        shutil.copy(glob.glob(f"{work}/root/boot/vmlinuz-*")[0], f"{place}/vmlinuz")
        tree = f"{work}/tree"
        for directory in ("bin", "lib", "proc", "sys", "dev"):
            os.makedirs(f"{tree}/{directory}")
        busybox = [path for path in (f"{work}/root/bin/busybox", f"{work}/root/usr/bin/busybox") if os.path.isfile(path)][0]
        shutil.copy(busybox, f"{tree}/bin/busybox")
        shutil.copy(f"{HERE}/guest-init.sh", f"{tree}/init")
        for name in MODULES:
            module = glob.glob(f"{work}/root/lib/modules/**/{name}.ko", recursive=True)[0]
            shutil.copy(module, f"{tree}/lib/{name}.ko")
        _run("sh", "-c", f"find . | cpio -o -H newc --quiet | gzip > {place}/initrd.gz", cwd=tree)


def _run(*command: str, cwd: str | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-800:]}")
    return done


class Hypervisor:
    """A libvirtd of our own, as a context manager. It is not started yet when it is made."""

    def __init__(self) -> None:
        self.root = tempfile.mkdtemp(prefix="libvirt-", dir="/tmp")
        unshare = ["unshare", "--mount", "--net", f"{HERE}/namespace.sh", self.root]
        self.log = open(f"{self.root}/namespace.log", "wb")
        self.script = subprocess.Popen(unshare, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        self.guests: list[Guest] = []

    def __enter__(self) -> "Hypervisor":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        for guest in list(self.guests):
            guest.close()
            self.virsh("destroy", guest.name, check=False)
        if self.script.stdin:
            self.script.stdin.close()
        self.script.wait(60)
        self.log.close()
        shutil.rmtree(self.root, ignore_errors=True)

    def _order(self, order: str) -> None:
        assert self.script.stdin and self.script.stdout
        self.script.stdin.write(f"{order}\n")
        self.script.stdin.flush()
        answer = self.script.stdout.readline()
        if answer.strip() != f"done {order}":
            with open(f"{self.root}/namespace.log", encoding="utf-8", errors="replace") as log:
                raise RuntimeError(f"{order}: {log.read()[-2000:]}")

    @property
    def uri(self) -> str:
        """The URI by which it is read only."""
        return URI.format(f"{self.root}/run/libvirt-sock-ro")

    def start(self, wait: bool = True) -> None:
        """Starts the daemon; with `wait`, until it answers."""
        self._order("start")
        end = time.monotonic() + 120
        while wait:
            if self.virsh("list", "--all", check=False).returncode == 0:
                return
            if time.monotonic() > end:
                with open(f"{self.root}/start.log", encoding="utf-8", errors="replace") as log:
                    raise RuntimeError(f"libvirtd does not answer: {log.read()[-2000:]}")
            time.sleep(0.2)

    def stop(self) -> None:
        """Ends the daemon; guests go on."""
        self._order("stop")

    def kill(self) -> None:
        """Kills the daemon; guests go on."""
        self._order("kill")

    def pause_daemon(self, paused: bool) -> None:
        """Makes the daemon hang, or go on."""
        with open(f"{self.root}/libvirtd.pid", encoding="ascii") as pid:
            os.kill(int(pid.read()), signal.SIGSTOP if paused else signal.SIGCONT)

    def virsh(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Runs virsh with the right to change things."""
        command = ["virsh", "-q", "-c", URI.format(f"{self.root}/run/libvirt-sock"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if check and done.returncode:
            raise RuntimeError(f"virsh {' '.join(arguments)}: {done.stderr.strip()}")
        return done

    def stats(self, name: str) -> dict[str, str]:
        """What virsh tells of one domain."""
        lines = self.virsh("domstats", "--raw", name).stdout.splitlines()
        return dict(line.strip().split("=", 1) for line in lines if "=" in line)

    def guest(self, number: int, vcpus: int = 2, transient: bool = False) -> "Guest":
        """Defines a guest and boots it."""
        guest = Guest(self, number, vcpus)
        self.guests.append(guest)
        path = f"{self.root}/{guest.name}.xml"
        with open(path, "w", encoding="utf-8") as out:
            out.write(guest.xml())
        if transient:
            self.virsh("create", path)
        else:
            self.virsh("define", path)
            self.virsh("start", guest.name)
        guest.favour()
        guest.connect()
        return guest


class Guest:
    """A guest. Its serial port is a socket, over which it takes orders."""

    def __init__(self, hypervisor: Hypervisor, number: int, vcpus: int) -> None:
        self.hypervisor = hypervisor
        self.vcpus = vcpus
        self.name = f"instance-{number:08x}"
        self.uuid = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"guest-{number}"))
        self.mac = f"fa:16:3e:00:00:{number:02x}"
        self.tap = f"tap{self.uuid[:8]}-{number:02x}"[:15]
        self.disk = f"{hypervisor.root}/{self.name}.qcow2"
        self.port = f"{hypervisor.root}/{self.name}.sock"
        self.serial: socket.socket | None = None
        self.buffer = b""
        _run("qemu-img", "create", "-q", "-f", "qcow2", self.disk, "64M")

    def xml(self) -> str:
        """Its definition, with metadata as Nova 34 writes them."""
        kernel, initrd = guest_files()
        with open(f"{HERE}/guest.xml", encoding="utf-8") as template:
            text = template.read()
        values = {"NAME": self.name, "UUID": self.uuid, "VCPUS": str(self.vcpus), "MAC": self.mac, "TAP": self.tap,
                  "DISK": self.disk, "PORT": self.port, "KERNEL": kernel, "INITRD": initrd, "PROJECT": PROJECT, "USER": USER}
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        return text

    def connect(self, seconds: float = 300) -> None:
        """Waits for the guest to take orders."""
        end = time.monotonic() + seconds
        while True:
            self.serial = socket.socket(socket.AF_UNIX)
            try:
                self.serial.connect(self.port)
                break
            except OSError:
                self.serial.close()
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self._await(b"guest-is-up", seconds)

    def _await(self, wanted: bytes, seconds: float) -> None:
        assert self.serial
        end = time.monotonic() + seconds
        while wanted not in self.buffer:
            self.serial.settimeout(max(0.1, end - time.monotonic()))
            data = self.serial.recv(4096)
            if not data:
                raise RuntimeError(f"{self.name} has ended: {self.buffer[-800:]!r}")
            self.buffer += data
        self.buffer = self.buffer.split(wanted, 1)[1]

    def order(self, text: str, seconds: float = 60) -> None:
        """Makes the guest do something; returns when it has: `burn N` (it goes on), `idle`, `read N`, `write N`, `ping N`, `off`."""
        assert self.serial
        self.serial.sendall(f"{text}\n".encode())
        self._await(f"done {text.split()[0]}".encode(), seconds)

    def close(self) -> None:
        """Lets go of its serial port."""
        if self.serial:
            self.serial.close()
        self.serial = None

    def favour(self) -> None:
        """Lets its process run before all others of the machine, so that what it burns is not what the machine has to spare."""
        for pid in glob.glob(f"{self.hypervisor.root}/var-run/qemu/{self.name}.pid"):
            with open(pid, encoding="ascii") as text:
                main = text.read().strip()
            for task in os.listdir(f"/proc/{main}/task"):
                os.setpriority(os.PRIO_PROCESS, int(task), -20)
            # Processes of one session share what their session gets.
            if os.path.exists(f"/proc/{main}/autogroup"):
                with open(f"/proc/{main}/autogroup", "w", encoding="ascii") as group:
                    group.write("-20")
