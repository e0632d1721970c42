// The real JavaScript client against a node's endpoint. Prints one line of JSON.
//
//   node endpoint.mjs list HUB_URL REPO [REVISION]
//   node endpoint.mjs info HUB_URL REPO PATH
//   node endpoint.mjs download HUB_URL REPO PATH        whole, then a slice of it
//   node endpoint.mjs snapshot HUB_URL REPO CACHE_DIR
//   node endpoint.mjs missing HUB_URL REPO PATH
import { createHash } from "node:crypto";
import { downloadFile, fileDownloadInfo, fileExists, listFiles, modelInfo, snapshotDownload } from "@huggingface/hub";

console.debug = () => {}; // the client reports its progress there
const [command, hubUrl, repo, ...rest] = process.argv.slice(2);

async function digest(blob) {
  const hash = createHash("sha256");
  for await (const part of blob.stream()) hash.update(part);
  return hash.digest("hex");
}

async function run() {
  switch (command) {
    case "list": {
      const files = [];
      for await (const file of listFiles({ repo, hubUrl, recursive: true, revision: rest[0] ?? "main" })) {
        files.push({ path: file.path, type: file.type, size: file.size, sha256: file.lfs?.oid, xet: "xetHash" in file });
      }
      return { files };
    }
    case "info": {
      const [info, exists, model] = [
        await fileDownloadInfo({ repo, path: rest[0], hubUrl }),
        await fileExists({ repo, path: rest[0], hubUrl }),
        await modelInfo({ name: repo, hubUrl, additionalFields: ["sha"] }),
      ];
      return { size: info?.size, etag: info?.etag, url: info?.url, xet: info?.xet !== undefined, exists, sha: model.sha };
    }
    case "download": {
      const whole = await downloadFile({ repo, path: rest[0], hubUrl });
      const slice = await (await downloadFile({ repo, path: rest[0], hubUrl })).slice(1000, 1500).arrayBuffer();
      return { size: whole.size, sha256: await digest(whole), slice: Buffer.from(slice).toString("hex") };
    }
    case "snapshot":
      return { path: await snapshotDownload({ repo, hubUrl, cacheDir: rest[0] }) };
    case "missing":
      return {
        info: await fileDownloadInfo({ repo, path: rest[0], hubUrl }),
        exists: await fileExists({ repo, path: rest[0], hubUrl }),
      };
    default:
      throw new Error(`unknown command ${command}`);
  }
}

console.log(JSON.stringify(await run()));
