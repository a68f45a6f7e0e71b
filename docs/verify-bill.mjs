// Verifies a statement that `billet bill export` has written, from docs/ledger.md alone:
//   node docs/verify-bill.mjs november.jsonl [public key]
// It prints what is wrong, and exits with 1 if anything is.
import { createHash, createPublicKey, verify } from "node:crypto";
import { readFileSync } from "node:fs";

const [file, trusted] = process.argv.slice(2);
const sha256 = (bytes) => createHash("sha256").update(bytes).digest();
const field = (v) =>
  v === null ? Buffer.from("-,") : Buffer.from(`${Buffer.byteLength(String(v))}:${v},`);
const fields = (...list) => Buffer.concat(list.map(field));
const micros = (dollars) => (dollars === null ? null : BigInt(Math.round(dollars * 1e6)));
// Date has milliseconds only.
const time = (text) => {
  if (text === null) return null;
  const [, seconds, fraction = ""] = /^(.{19})(?:\.(\d{1,6}))?Z$/.exec(text);
  return BigInt(Date.parse(seconds + "Z")) * 1000n + BigInt(fraction.padEnd(6, "0"));
};
const chain = (previous, digest) =>
  "v1:" + sha256(fields("billet-chain-1", previous, digest)).toString("hex");

const problems = [];
const check = (ok, what) => ok || problems.push(what);
const records = readFileSync(file, "utf8").trimEnd().split("\n").map((line) => JSON.parse(line));
const { account, version, record } = records.shift();
check(record === "statement" && version === 1, "the file is not a statement of version 1");
let seq = null, hash, available, signed = false, count = 0;

for (const r of records) {
  if (r.record === "transaction") {
    const amount = micros(r.amount);
    if (seq === null) [seq, hash, available] = [r.seq - 1, r.previousHash, micros(r.availableAfter) - amount];
    check(r.seq !== 1 || (r.previousHash === "" && available === 0n), "seq 1 does not begin with nothing");
    check(r.seq === seq + 1, `seq ${r.seq} follows seq ${seq}`);
    check(r.previousHash === hash, `seq ${r.seq} does not follow the hash of seq ${seq}`);
    const digest = sha256(Buffer.concat([
      fields("billet-transaction-1", account, r.seq, r.id, r.type, amount, micros(r.balanceAfter),
        micros(r.availableAfter), r.description, r.subject, r.hour, time(r.from), time(r.to), micros(r.hourlyPrice),
        r.provider, r.region, r.gpuType, r.name, r.reference, time(r.createdAt)),
      ...r.entries.map((e) => fields(e.book, micros(e.amount))),
    ])).toString("hex");
    check(chain(r.previousHash, digest) === r.hash, `seq ${r.seq} was changed`);
    check(available + amount === micros(r.availableAfter), `seq ${r.seq} has a wrong balance`);
    if (r.type === "charge" || r.type === "refund") {
      const seconds = (time(r.to) - time(r.from)) / 1_000_000n;
      const cost = (micros(r.hourlyPrice) * seconds + 1800n) / 3600n; // half-up
      check(amount === (r.type === "charge" ? -cost : cost), `seq ${r.seq} has a wrong amount`);
    }
    available = micros(r.availableAfter);
    count++;
  } else if (r.record === "link") {
    check(r.seq === seq + 1 && chain(hash, r.digest) === r.hash, `link ${r.seq} is wrong`);
  } else if (r.record === "head") {
    check(r.account === account && r.seq === seq && r.hash === hash, "the head is not the last hash");
    let at = sha256(Buffer.concat([Buffer.from([0]), fields(account, r.seq, r.hash)]));
    for (const step of r.path) {
      const other = Buffer.from(step.hash, "hex");
      at = sha256(Buffer.concat([Buffer.from([1]), ...(step.side === "left" ? [other, at] : [at, other])]));
    }
    check(at.toString("hex") === r.root, "the path does not lead to the root");
    const key = createPublicKey({
      format: "jwk",
      key: { kty: "OKP", crv: "Ed25519", x: Buffer.from(r.publicKey, "base64").toString("base64url") },
    });
    const text = fields("billet-ledger-day-1", r.day, r.previous, r.root, r.accounts, r.transactions, r.keyId);
    check(verify(null, text, key, Buffer.from(r.signature, "base64")), `the signature of ${r.day} is wrong`);
    check(!trusted || trusted === r.publicKey, "the signature is by another key");
    signed = true;
    continue;
  }
  [seq, hash] = [r.seq, r.hash];
}
for (const p of problems) console.log(p);
console.log(`${count} transactions, ${signed ? "signed" : "not signed yet"}, ${problems.length} problems`);
process.exitCode = problems.length ? 1 : 0;
