// Holds FHIR R4 resources, one a line in each file named, against two validators that know nothing of Sekimori.
// Prints what they find; exit code 1 where that is an error.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const require = createRequire(import.meta.url);
const JSONSchemaValidator = require("@asymmetrik/fhir-json-schema-validator");
const { Fhir } = require("fhir");

const bySchema = new JSONSchemaValidator();
const byDefinition = new Fhir();
let resources = 0;
let errors = 0;
const tell = (place, validator, what) => {
  errors += 1;
  console.log(`${place}: ${validator}: ${JSON.stringify(what)}`);
};
for (const file of process.argv.slice(2)) {
  readFileSync(file, "utf8").split("\n").forEach((line, at) => {
    if (line.trim() === "") return;
    const place = `${file}:${at + 1}`;
    const resource = JSON.parse(line);
    resources += 1;
    for (const error of bySchema.validate(resource)) tell(place, "json schema", error);
    const { valid, messages } = byDefinition.validate(resource, { errorOnUnexpected: true });
    if (!valid) tell(place, "definitions", messages.filter((message) => message.severity !== "information"));
  });
}
console.log(`${resources} resources, ${errors} errors`);
process.exit(errors === 0 && resources > 0 ? 0 : 1);
