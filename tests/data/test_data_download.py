"""Downloads of what tensorflow-datasets registers, with the network played by `responses`."""

import gzip
import hashlib
import http.server
import os
import struct
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import requests
import responses
import tensorflow_datasets as tfds

import evoae.data
from evoae.data import download
from evoae.data.catalogue import DatasetInfo

URLS = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "kmnist": "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
}
RANDOM = np.random.default_rng(0)
IMAGES = {"train": RANDOM.integers(0, 256, (30, 28, 28, 1), np.uint8)}
LABELS = {"train": RANDOM.integers(0, 10, 30, np.uint8)}
IMAGES["test"], LABELS["test"] = IMAGES["train"][:4] // 2, LABELS["train"][:4]


@pytest.fixture
def network():
    with responses.RequestsMock(assert_all_requests_are_fired=False) as network:
        yield network


def info(name):
    return DatasetInfo(name, "of this test", 30, 4, "none", "none", bundled=False)


def archives():
    """The four archives of a small data set, by name."""
    files = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = IMAGES[split], LABELS[split]
        header = struct.pack(">4I", 0x803, len(images), 28, 28)
        files[f"{prefix}-images-idx3-ubyte.gz"] = gzip.compress(header + images.tobytes(), mtime=0)
        header = struct.pack(">2I", 0x801, len(labels))
        files[f"{prefix}-labels-idx1-ubyte.gz"] = gzip.compress(header + labels.tobytes(), mtime=0)
    return files


def register(monkeypatch, name, url):
    """Registers the checksums of the small data set in place of theirs."""
    registered = {
        url + file: types.SimpleNamespace(checksum=hashlib.sha256(content).hexdigest())
        for file, content in archives().items()
    }
    monkeypatch.setattr(tfds.builder_cls(name), "url_infos", registered)


def publish(network, monkeypatch, name):
    """Answers the URLs with the small data set, whose checksums are registered."""
    for file, content in archives().items():
        network.add(responses.GET, URLS[name] + file, body=content)
    register(monkeypatch, name, URLS[name])


def fails_to_download(name, cache, *words):
    with pytest.raises(ConnectionError) as raised:
        evoae.data.load(name, cache_dir=cache)
    message = str(raised.value)
    words = (name, URLS[name], cache, "train-images-idx3-ubyte.gz", "by its path", *words)
    assert all(str(word) in message for word in words), message
    assert "\n" not in message
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("name", URLS)
def test_a_data_set_is_prepared_in_its_published_order(network, monkeypatch, tmp_path, name):
    publish(network, monkeypatch, name)
    for split in ("train", "test"):
        images, labels = download.read_cached(info(name), split, tmp_path)
        np.testing.assert_array_equal(images, IMAGES[split])
        np.testing.assert_array_equal(labels, LABELS[split])
    assert len(network.calls) == 4
    assert [file.name for file in tmp_path.iterdir()] == [f"{name}.npz"]


@pytest.mark.parametrize("damage", ["truncated", "flipped bit", "another set", "no labels"])
def test_a_damaged_cache_is_made_anew(network, monkeypatch, tmp_path, caplog, damage):
    publish(network, monkeypatch, "mnist")
    download.read_cached(info("mnist"), "train", tmp_path)
    path = tmp_path / "mnist.npz"
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "flipped bit":
        content[1_000] ^= 1
        path.write_bytes(content)
    elif damage == "another set":
        np.savez(path, x_train=IMAGES["test"], y_train=LABELS["test"])
    else:
        np.savez(path, x_train=IMAGES["train"])
    images, labels = download.read_cached(info("mnist"), "train", tmp_path)
    np.testing.assert_array_equal(images, IMAGES["train"])
    np.testing.assert_array_equal(labels, LABELS["train"])
    assert "The cache is made anew" in caplog.text
    assert str(path) in caplog.text


def test_the_cache_needs_no_network(network, monkeypatch, tmp_path):
    publish(network, monkeypatch, "mnist")
    monkeypatch.setenv("EVOAE_CACHE", str(tmp_path / "cache"))
    download.read_cached(info("mnist"), "train", None)
    network.reset()
    images, _ = download.read_cached(info("mnist"), "test", None)
    np.testing.assert_array_equal(images, IMAGES["test"])
    assert (tmp_path / "cache" / "mnist.npz").exists()


@pytest.mark.parametrize("name", URLS)
def test_no_network(network, tmp_path, name):
    # Whatever is not registered is refused with a connection error.
    fails_to_download(name, tmp_path, "The cause:")
    assert len(network.calls) == 1


def test_a_network_that_never_answers(monkeypatch, tmp_path):
    monkeypatch.setattr(download, "_SECONDS_TO_ANSWER", 0.1)
    released = threading.Event()

    def never(*args, **kwargs):
        released.wait()
        raise requests.ConnectionError("released")

    monkeypatch.setattr(requests, "get", never)
    try:
        fails_to_download("mnist", tmp_path, "no answer")
    finally:
        released.set()


def test_an_archive_that_is_gone(network, tmp_path):
    network.add(responses.GET, URLS["mnist"] + "train-images-idx3-ubyte.gz", status=404)
    fails_to_download("mnist", tmp_path, "404")


def test_the_connection_breaks_between_two_archives(network, monkeypatch, tmp_path):
    publish(network, monkeypatch, "mnist")
    network.replace(
        responses.GET,
        URLS["mnist"] + "t10k-images-idx3-ubyte.gz",
        body=requests.ConnectionError("broken off"),
    )
    fails_to_download("mnist", tmp_path, "broken off")


def test_an_archive_with_other_content(network, monkeypatch, tmp_path):
    publish(network, monkeypatch, "mnist")
    network.replace(
        responses.GET,
        URLS["mnist"] + "t10k-images-idx3-ubyte.gz",
        body=archives()["train-images-idx3-ubyte.gz"],
    )
    fails_to_download("mnist", tmp_path, "wrong checksum", "t10k-images-idx3-ubyte.gz")


@pytest.mark.parametrize("name", URLS)
def test_the_installed_library_has_a_checksum_for_every_archive(network, tmp_path, name):
    for file, content in archives().items():
        network.add(responses.GET, URLS[name] + file, body=content)
    # Files of the right form but of our making have another checksum than the published ones.
    fails_to_download(name, tmp_path, "wrong checksum", "train-images-idx3-ubyte.gz")
    known = tfds.builder_cls(name).url_infos
    assert {URLS[name] + file for file in archives()} <= known.keys()
    assert len({known[URLS[name] + file].checksum for file in archives()}) == 4


@pytest.fixture
def stalling(monkeypatch):
    """A server of MNIST's archives that falls silent within, or before, the training images."""
    released = threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        silent_at_once = False

        def do_GET(self):
            content = archives()[self.path.removeprefix("/")]
            stalls = "train-images" in self.path
            if stalls and self.silent_at_once:
                released.wait()
            self.send_response(200)
            self.send_header("Content-Length", len(content))
            self.end_headers()
            self.wfile.write(content[:100] if stalls else content)
            if stalls:
                self.wfile.flush()
                released.wait()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    monkeypatch.setattr(tfds.builder_cls("mnist"), "URL", url)
    monkeypatch.setitem(URLS, "mnist", url)
    monkeypatch.setattr(download, "_SECONDS_WITHOUT_DATA", 0.2)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    register(monkeypatch, "mnist", url)
    yield Handler
    released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("silent_at_once", [False, True])
def test_a_transfer_that_stalls(stalling, tmp_path, silent_at_once):
    stalling.silent_at_once = silent_at_once
    fails_to_download("mnist", tmp_path, "timed out")


def test_an_archive_without_a_registered_checksum_is_refused(network, monkeypatch, tmp_path):
    publish(network, monkeypatch, "mnist")
    monkeypatch.setattr(tfds.builder_cls("mnist"), "url_infos", {})
    with pytest.raises(ValueError, match="tensorflow-datasets has no checksum of"):
        evoae.data.load("mnist", cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ValueError, match="cache_dir must be a folder that can be written"):
        evoae.data.load("mnist", cache_dir=tmp_path / "file" / "cache")


def test_nothing_is_printed(network, monkeypatch, tmp_path, capfd):
    publish(network, monkeypatch, "mnist")
    download.read_cached(info("mnist"), "train", tmp_path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
@pytest.mark.skipif(
    "EVOAE_MNIST_ARCHIVES" not in os.environ,
    reason="EVOAE_MNIST_ARCHIVES does not name a folder with MNIST's four archives",
)
def test_mnist_from_its_real_archives(network, tmp_path):
    folder = Path(os.environ["EVOAE_MNIST_ARCHIVES"])
    for file in folder.glob("*.gz"):
        network.add(responses.GET, URLS["mnist"] + file.name, body=file.read_bytes())
    for split in ("train", "test"):
        downloaded = evoae.data.load("mnist", split=split, dtype="uint8", cache_dir=tmp_path)
        local = evoae.data.load(folder, split=split, dtype="uint8")
        np.testing.assert_array_equal(downloaded.images, local.images)
        np.testing.assert_array_equal(downloaded.labels, local.labels)
    mini = evoae.data.load("mnist-mini", dtype="uint8")
    first = evoae.data.load("mnist", num_samples=2_000, dtype="uint8", cache_dir=tmp_path)
    np.testing.assert_array_equal(mini.images, first.images)
