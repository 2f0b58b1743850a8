/**
 * The version of this package, from its manifest, which is three folders up from source and from compiled output alike.
 */
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"

export const version = (): string =>
  decode(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")).version

// --- internal ---

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Schema.Struct({ version: Schema.String })))
