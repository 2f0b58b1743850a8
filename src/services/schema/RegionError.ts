/**
 * Errors of creating, attaching to and using a region, among them those that name one of its sizes.
 */
import * as Schema from "effect/Schema"
import { formatCount } from "../text/quantities.ts"
import { type Geometry, placesMax, wrongSize } from "./Geometry.ts"
import { ProcessId, showPid } from "./ProcessId.ts"

/**
 * The kinds of {@link RegionError}. Of a log whose server is gone: `recovering` while no process has taken it over,
 * `recoverable` where a call would discard it, `blocked` when stopped processes hold all places of servers, `ended` when
 * its last server ended it in good order.
 */
export const RegionFault = Schema.Literals([
  "missing",
  "exists",
  "versionMismatch",
  "truncated",
  "corrupt",
  "notRegion",
  "foreignOwner",
  "otherHost",
  "notPermitted",
  "noSpace",
  "notServing",
  "notAnswering",
  "recovering",
  "recoverable",
  "blocked",
  "ended",
  "full",
  "invalid",
  "busy",
  "unsupported",
  "system"
])
export type RegionFault = typeof RegionFault.Type

/**
 * A region could not be created, attached or used. `hint` is the next step. `noSpace` carries the bytes wanted, the
 * bytes free, and the `sizes` of the geometry that take most; `full` carries the `sizes` that are too small, `invalid` the
 * size that is impossible. When ended sessions keep slots from new ones, because their processes live and may still write
 * there, `holders` names these processes.
 */
export class RegionError extends Schema.TaggedError<RegionError>()("RegionError", {
  fault: RegionFault,
  region: Schema.String,
  detail: Schema.String,
  hint: Schema.String,
  wantedBytes: Schema.optionalKey(Schema.Number),
  freeBytes: Schema.optionalKey(Schema.Number),
  sizes: Schema.optionalKey(Schema.Array(Schema.String)),
  holders: Schema.optionalKey(Schema.Array(Schema.Struct({ name: Schema.String, ...ProcessId.fields })))
}) {
  override get message(): string {
    const where = this.region === "" ? "" : `region "${this.region}": `
    return `${where}${this.detail}${this.hint === "" ? "" : ` (${this.hint})`}`
  }
}

/** The error of a region with these sizes; `undefined` if they are possible. */
export const geometryError = (region: string, geometry: Geometry): RegionError | undefined => {
  const wrong = wrongSize(geometry)
  return wrong && new RegionError({
    fault: "invalid",
    region,
    detail: `${wrong.field} cannot be ${shown(geometry[wrong.field])}`,
    hint: `it must be ${wrong.range}`,
    sizes: [wrong.field]
  })
}

/** The error `full` of a table. Its `sizes` names the count that a region must be created with more of. */
export const fullTable = (region: string, detail: string, size: keyof typeof helps): RegionError =>
  new RegionError({
    fault: "full",
    region,
    detail,
    hint: `${helps[size]}, or create the region with more ${size}, at most ${placesMax[size]}`,
    sizes: [size]
  })

/** The error `full` of the named cursors, of which a region has four for each of its clients. */
export const cursorsFull = (region: string, detail: string): RegionError =>
  new RegionError({
    fault: "full",
    region,
    detail,
    hint:
      `give cursors that are no longer used a shorter expiry, or create the region with more clients, at most ${placesMax.clients}`,
    sizes: ["clients"]
  })

/** A process that holds something, by its name. */
export interface Holder extends ProcessId {
  readonly name: string
}

/** The error `full` of the session slots. `holders`: the processes of ended sessions that have not left their slots. */
export const sessionsFull = (region: string, slots: number, holders: ReadonlyArray<Holder>): RegionError => {
  const taken = `all ${formatCount(slots)} session slots are taken`
  if (holders.length === 0) return fullTable(region, taken, "clients")
  const named = [...new Set(holders.map((holder) => `"${holder.name}" (${showPid(holder)})`))].join(", ")
  const { hint } = fullTable(region, taken, "clients")
  return new RegionError({
    fault: "full",
    region,
    detail: `${taken}, ${formatCount(holders.length)} of them by ended sessions whose processes live and may still `
      + `write there: ${named}`,
    hint: `continue these processes (kill -CONT), close their publishers or end them; or ${hint}`,
    sizes: ["clients"],
    holders
  })
}

// --- internal ---

// A value from a configuration need not be a number.
const shown = (value: unknown): string => typeof value === "number" ? formatCount(value) : String(value)

const helps = {
  topics: "close the publishers and subscribers of one",
  clients: "close a session",
  readers: "close a subscriber of the topic"
} satisfies Partial<Record<keyof Geometry, string>>
