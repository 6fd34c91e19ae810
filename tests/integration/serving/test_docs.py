"""OpenAPI and its page: true, with examples that work as they stand, and whole without any other host."""

import httpx
import pytest

from tests.support.browser import chromium


@pytest.fixture(scope="module")
def serving(registry, start_serving, tmp_path_factory):
    registry.production(red_blue="1", mixed="1")
    server = start_serving(tmp_path_factory.mktemp("docs"), SERVING_ROOT_PATH="/serving")
    yield server
    server.stop()


def test_every_example_in_openapi_is_answered_as_it_stands(serving, helpers):
    document = serving.get("/openapi.json").json()
    assert document["servers"] == [{"url": "/serving"}]
    tried = 0
    for path, operations in document["paths"].items():
        if "{" in path or not path.startswith(("/models/", "/v2/models/")) or "post" not in operations:
            continue
        for media, content in operations["post"]["requestBody"]["content"].items():
            if content["schema"].get("format") == "binary":
                continue
            examples = [item["value"] for item in content.get("examples", {}).values()]
            for example in examples or [content["example"]]:
                sent = {"content": example} if media == "text/csv" else {"json": example}
                answer = httpx.post(
                    serving.url + path, headers={**helpers.person, "content-type": media}, **sent
                )
                assert answer.status_code == 200, (path, media, example, answer.text)
                tried += 1
    # By name, by version, by alias; the other protocol has no aliases.
    assert tried == 2 * (3 * (1 + 4 + 1) + 2)


def test_the_schema_of_a_model_is_that_of_its_signature(serving):
    operation = serving.get("/openapi.json").json()["paths"]["/models/mixed/predict"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]["inputs"]
    row = schema["anyOf"][1]
    assert row["required"] == ["shop", "age", "member"]
    assert row["properties"]["income"] == {"type": ["number", "null"], "format": "double"}
    assert operation["responses"]["422"]["content"]["application/json"]["schema"]["$ref"].endswith("/Error")


def test_the_page_asks_no_other_host(serving):
    page = serving.get("/docs")
    assert "://" not in page.text
    assert "script-src 'self';" in page.headers["content-security-policy"]
    for asset in ("docs/start.js", "docs/assets/swagger-ui-bundle.js", "docs/assets/swagger-ui.css"):
        assert asset in page.text or asset == "docs/start.js"
        assert serving.get(f"/{asset}").status_code == 200


@pytest.mark.browser
def test_the_page_shows_the_models_in_a_browser_without_an_error(registry, serve, helpers):
    registry.production(red_blue="1")
    server = serve()
    with chromium() as browser:
        page = browser.new_page(extra_http_headers=helpers.person)
        said = []
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.goto(server.url + "/docs")
        page.get_by_text("/models/red-blue/predict").first.wait_for()
    assert said == []
