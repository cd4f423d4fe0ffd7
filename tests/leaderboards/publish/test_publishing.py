import os
import re
import shutil
from pathlib import Path

import pytest
import yaml
from huggingface_hub import constants
from huggingface_hub._eval_results import parse_eval_result_entries
from made_boards import write_record, write_records
from made_hub import MadeHub, Repo
from typer.testing import CliRunner

import leaderboards.cli.publish  # noqa: F401 (registers the command)
from leaderboards.publish.publishing import publish
from leaderboards.publish.settings import PublishSettings
from vtab_harness import registry
from vtab_harness.api.errors import OfflineError, OptionError, StorageError, VtabError
from vtab_harness.cli.app import app

MINI = registry.suites.get("mini").tasks
SPEC = "hf-hub:ours/net"
FILE = ".eval_results/mini_linear-v1_1000-labels_mini-1.yaml"


@pytest.fixture
def results(tmp_path: Path) -> Path:
    write_records(tmp_path / "results", [SPEC, "timm:resnet18?pretrained=false"], "mini", seeds=2)
    return tmp_path / "results"


def told(results: Path, **options: object) -> str:
    lines: list[str] = []
    given = {"results": [results], "out": results.parent / "board", "plots": False, "page": False}
    publish(PublishSettings(**(given | options)), lines.append)  # type: ignore[arg-type]
    return "\n".join(lines)


def test_what_would_be_sent_is_shown_and_nothing_is_sent(results: Path, hub: MadeHub) -> None:
    hub.repos = {"datasets/ours/board": Repo(), "models/ours/net": Repo()}
    said = told(results, board="ours/board", backbone=SPEC)
    assert f"To the dataset {hub.endpoint}/datasets/ours/board, over commit" in said
    assert f"To the model {hub.endpoint}/ours/net, over commit" in said
    assert re.search(r"new +leaderboard\.csv +[\d,]+ bytes", said)
    assert FILE in said
    assert "Give --push" in said
    assert hub.sent == []


def test_exactly_the_bytes_of_folder_and_records_land_in_one_commit(results: Path, hub: MadeHub) -> None:
    board = hub.repos["datasets/ours/board"] = Repo({"README.md": b"ours"})
    (out := results.parent / "board").mkdir()
    (out / "private.txt").write_text("not written by the leaderboard")
    assert "Sent" in told(results, board="ours/board", push=True, page=True, out=out)
    written = [p for p in out.rglob("*") if p.is_file() and ".cache" not in p.parts and "hugging_face" not in p.parts]
    expected = {str(p.relative_to(out)): p.read_bytes() for p in written if p.name != "private.txt"}
    expected |= {f"records/{p.relative_to(results)}": p.read_bytes() for p in results.rglob("*") if p.is_file()}
    assert board.files == expected | {"README.md": b"ours"}
    assert sum(name.endswith(".predictions") for name in expected) == 2 * 10 * 2
    assert "index.html" in expected
    assert [message for message, _ in board.commits] == ["Leaderboard of mini, linear-v1"]
    assert hub.tokens == {"Bearer hf_made_up", None}
    # Again: nothing has changed, and nothing is sent.
    before = len(hub.sent)
    assert "Nothing to send" in told(results, board="ours/board", push=True, page=True, out=out)
    assert len(hub.sent) == before


def test_only_what_changed_is_sent_and_its_lines_are_shown(results: Path, hub: MadeHub) -> None:
    board = hub.repos["datasets/ours/board"] = Repo()
    told(results, board="ours/board", push=True)
    right = board.files["leaderboard.md"]
    board.files["leaderboard.md"] = right.replace(b"\n", b"\n\x1b[31mold line\n", 1)
    hub.large = {"leaderboard.parquet", "results.csv"}
    board.files["results.csv"] += b"more"
    said = told(results, board="ours/board", push=True)
    # Text of others cannot steer the terminal.
    assert "  - [31mold line" in said
    _, files = board.commits[-1]
    assert {*files} == {"leaderboard.md", "results.csv"}
    assert board.files["leaderboard.md"] == right


def test_without_records_none_are_sent(results: Path, hub: MadeHub) -> None:
    board = hub.repos["datasets/ours/board"] = Repo()
    told(results, board="ours/board", push=True, records=False)
    assert not any(name.startswith("records/") for name in board.files)
    assert "leaderboard.csv" in board.files


def test_results_of_a_model_name_the_commit_that_was_just_made(results: Path, hub: MadeHub) -> None:
    board = hub.repos["datasets/ours/board"] = Repo()
    model = hub.repos["models/ours/net"] = Repo({"README.md": b"", "model.safetensors": b"w"})
    told(results, board="ours/board", backbone=SPEC, push=True)
    assert {*model.files} == {"README.md", "model.safetensors", FILE}
    entries = parse_eval_result_entries(yaml.safe_load(model.files[FILE]))
    assert {entry.dataset_revision for entry in entries} == {board.sha}
    assert {entry.dataset_id for entry in entries} == {"ours/board"}
    assert {entry.source_url for entry in entries} == {f"{hub.endpoint}/datasets/ours/board"}
    listed = yaml.safe_load(board.files["eval.yaml"])["tasks"]
    assert [entry.task_id for entry in entries] == [task["id"] for task in listed]


def test_a_second_protocol_stands_beside_the_first(results: Path, hub: MadeHub) -> None:
    write_records(results, [SPEC], "mini", protocol="finetune-v1")
    board, model = Repo(), Repo()
    hub.repos = {"datasets/ours/board": board, "models/ours/net": model}
    for protocol in ("linear", "finetune"):
        told(results, board="ours/board", backbone=SPEC, push=True, protocol=protocol)
    assert {*model.files} == {FILE, FILE.replace("linear", "finetune")}
    ids = [task["id"] for task in yaml.safe_load(board.files["eval.yaml"])["tasks"]]
    assert len(ids) == len(set(ids)) == 22
    assert {name.split("/")[1] for name in ids} == {"linear-v1", "finetune-v1"}


def test_a_pull_request_leaves_the_main_branch_alone(results: Path, hub: MadeHub) -> None:
    model = hub.repos["models/theirs/net"] = Repo()
    said = told(results, backbone=SPEC, repository="theirs/net", push=True, create_pr=True)
    assert f"{hub.endpoint}/theirs/net/discussions/1" in said
    assert [list(pull) for pull in model.pulls] == [[FILE]]
    assert model.files == {}
    # The placeholder is no repository, and results say so rather than name a commit of it.
    assert "name no commit" in said


def test_without_a_token_nothing_is_asked_or_sent(results: Path, hub: MadeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    hub.repos["datasets/ours/board"] = Repo()
    with pytest.raises(OptionError, match="nobody is logged in.*nothing was sent") as raised:
        told(results, board="ours/board", push=True)
    assert "hf auth login" in str(raised.value.hint)
    assert hub.asked == []
    # To look needs none.
    assert "Give --push" in told(results, board="ours/board")


@pytest.mark.parametrize(
    ("part", "answer", "message"),
    [
        ("api/datasets/ours/board", (403, "GatedRepo", "no"), "the dataset ours/board is gated"),
        ("api/datasets/ours/board", (404, "RepoNotFound", "no"), "gone, renamed, private or not made yet"),
        ("preupload", (403, "", "read-only\x1b token"), "may not be written with this token: .*read-only  token"),
        ("commit", (412, "", "A commit has happened since"), "changed in the meantime"),
        ("commit", (400, "", "eval.yaml is invalid"), "the Hub refuses: .*eval.yaml is invalid"),
    ],
)  # fmt: skip
def test_a_repository_that_refuses(
    part: str, answer: tuple[int, str, str], message: str, results: Path, hub: MadeHub
) -> None:
    board = hub.repos["datasets/ours/board"] = Repo()
    hub.refuses[part] = answer
    with pytest.raises(StorageError, match=f"(?i){message}"):
        told(results, board="ours/board", push=True)
    assert board.commits == []


def test_a_repository_that_is_gone_stops_the_preview_after_it_has_shown(results: Path, hub: MadeHub) -> None:
    lines: list[str] = []
    settings = PublishSettings(results=[results], out=results.parent / "board", board="ours/gone", plots=False)
    with pytest.raises(StorageError, match="ours/gone is gone"):
        publish(settings, lines.append)
    assert "leaderboard.csv" in "\n".join(lines)


def test_a_hub_out_of_reach_stops_a_push_and_no_preview(
    results: Path, hub: MadeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    said = told(results, board="ours/board")
    assert "What is there is not known" in said
    assert "leaderboard.csv" in said
    with pytest.raises(OfflineError, match="HF_HUB_OFFLINE"):
        told(results, board="ours/board", push=True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OfflineError, match="cannot be reached"):
        told(results, board="ours/board", push=True)
    assert hub.asked == []


@pytest.mark.parametrize("spec", ["timm:resnet18?pretrained=false", "hf-hub:ours/net@v2", "hf-hub:ours/net?in_chans=3"])
def test_a_spec_that_names_no_repository_needs_one(spec: str, results: Path, hub: MadeHub) -> None:
    write_records(results, [spec], "mini", seeds=2)
    with pytest.raises(OptionError, match="names a repository") as raised:
        told(results, backbone=spec)
    assert "--repository" in str(raised.value.hint)
    model = hub.repos["models/ours/other"] = Repo()
    told(results, backbone=spec, repository="ours/other", push=True)
    assert list(model.files) == [FILE]


def test_an_incomplete_backbone_is_refused_before_the_board_is_sent(results: Path, hub: MadeHub) -> None:
    write_records(results, ["hf-hub:ours/half"], MINI[:3], seeds=2)
    hub.repos = {"datasets/ours/board": Repo(), "models/ours/half": Repo()}
    with pytest.raises(OptionError, match=f"it lacks {MINI[3]}") as raised:
        told(results, board="ours/board", backbone="hf-hub:ours/half", push=True)
    assert "vtab run" in str(raised.value.hint)
    assert hub.sent == []


def test_no_name_of_a_folder_leads_anywhere_in_the_repository(tmp_path: Path, hub: MadeHub) -> None:
    results = tmp_path / "results"
    write_records(results, [SPEC], "mini")
    whole = next(results.iterdir())
    shutil.copytree(whole / MINI[0], results / " ..\n" / "%2e%2e" / "git.git ;")
    shutil.rmtree(whole / MINI[0])
    board = hub.repos["datasets/ours/board"] = Repo()
    told(results, board="ours/board", push=True)
    records = [name for name in board.files if name.startswith("records/")]
    assert len(records) == 20
    assert all(re.fullmatch(r"([A-Za-z0-9_+-][A-Za-z0-9._+-]*/?)+", name) for name in board.files)


def test_a_link_in_the_place_of_predictions_is_not_followed_to_the_hub(results: Path, hub: MadeHub) -> None:
    secret = results.parent / "secret"
    secret.write_text("secret")
    predictions = next(results.rglob("*.predictions"))
    predictions.unlink()
    predictions.symlink_to(secret)
    hub.repos["datasets/ours/board"] = Repo()
    with pytest.raises(StorageError, match="is not the file that .* was written with"):
        told(results, board="ours/board", push=True, verify=False)
    assert hub.sent == []


def test_a_pipe_in_the_place_of_predictions_is_named(results: Path, hub: MadeHub) -> None:
    predictions = next(results.rglob("*.predictions"))
    predictions.unlink()
    os.mkfifo(predictions)
    with pytest.raises(StorageError, match=f"{predictions.name} cannot be published"):
        told(results, board="ours/board", verify=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Nothing to publish"),
        ({"repository": "a/b", "board": "a/b"}, "--repository"),
        ({"create_pr": True, "board": "a/b"}, "--create-pr"),
        ({"board": "../etc"}, "--board"),
        ({"board": "name-only"}, "--board"),
        ({"backbone": SPEC, "repository": "a b/c"}, "--repository"),
        ({"backbone": "timm:nobody"}, "--backbone timm:nobody"),
    ],
)
def test_settings_that_cannot_be_used(options: dict[str, object], message: str, results: Path, hub: MadeHub) -> None:
    with pytest.raises(OptionError, match=message):
        told(results, **options)


@pytest.mark.parametrize("there", [b"tasks: 1", b"\xff", b"x" * (1 << 19)])
def test_an_eval_yaml_that_is_not_understood_is_not_overwritten(there: bytes, results: Path, hub: MadeHub) -> None:
    hub.repos["datasets/ours/board"] = Repo({"eval.yaml": there})
    with pytest.raises(VtabError, match=r"eval\.yaml of"):
        told(results, board="ours/board", push=True)
    assert hub.sent == []


def test_diverged_records_are_sent_without_predictions(tmp_path: Path, hub: MadeHub) -> None:
    write_records(tmp_path / "results", [SPEC], "mini")
    write_record(tmp_path / "results", MINI[0], "timm:other", status="diverged")
    board = hub.repos["datasets/ours/board"] = Repo()
    told(tmp_path / "results", board="ours/board", push=True)
    assert sum(name.startswith("records/") for name in board.files) == 21


def test_the_command_line(results: Path, hub: MadeHub) -> None:
    model = hub.repos["models/ours/net"] = Repo()
    arguments = ["publish", results, "--out", results.parent / "board", "--no-plots", "--no-page", "--backbone", SPEC]
    shown = CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    assert shown.exit_code == 0
    assert not model.files
    sent = CliRunner().invoke(app, [*map(str, arguments), "--push"], catch_exceptions=False)
    assert sent.exit_code == 0, sent.output
    assert list(model.files) == [FILE]
