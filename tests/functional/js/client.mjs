// What the real JavaScript client of the Hub does, as a command for the Python tests. Prints one line of JSON.
//
//   node client.mjs scan CACHE_DIR
//   node client.mjs snapshot HUB_URL REPO CACHE_DIR
//   node client.mjs file HUB_URL REPO PATH CACHE_DIR
import { downloadFileToCacheDir, scanCacheDir, snapshotDownload } from "@huggingface/hub";

console.debug = () => {}; // the client reports its progress there
const [command, ...rest] = process.argv.slice(2);

// The stand-in Hub has no Xet storage; files come through its CDN, as they do to any client without Xet.
const plain = { xet: false };

async function run() {
  switch (command) {
    case "scan": {
      const info = await scanCacheDir(rest[0]);
      return {
        size: info.size,
        warnings: info.warnings.map(String),
        repos: info.repos.map((repo) => ({
          id: repo.id,
          size: repo.size,
          files: repo.filesCount,
          revisions: repo.revisions.map((revision) => ({
            commit: revision.commitOid,
            refs: revision.refs,
            files: revision.files.map((file) => ({ path: file.path, blob: file.blob.path, size: file.blob.size })),
          })),
        })),
      };
    }
    case "snapshot": {
      const [hubUrl, repo, cacheDir] = rest;
      return { path: await snapshotDownload({ repo, hubUrl, cacheDir, ...plain }) };
    }
    case "file": {
      const [hubUrl, repo, path, cacheDir] = rest;
      return { path: await downloadFileToCacheDir({ repo, path, hubUrl, cacheDir, ...plain }) };
    }
    default:
      throw new Error(`unknown command ${command}`);
  }
}

console.log(JSON.stringify(await run()));
