/**
 * `ringfence doctor`: lists the regions of this host, their users, and the leftovers of dead processes.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as CxlMemory from "../layers/CxlMemory.ts"
import * as Regions from "../layers/Regions.ts"
import { codeOfError, exitCode } from "./cli/exit.ts"
import { printReport } from "./cli/report.ts"
import { configured, flagsOf, jsonSetting, printConfigFlag } from "./cli/settings.ts"
import { plural } from "./cli/units.ts"
import { lines } from "./cli/usage.ts"
import { type Finding, findingOf, isLeftover, isOutOfReach, isRecoverable } from "./doctor/finding.ts"
import { describeDoctor, type DoctorReport } from "./doctor/report.ts"

/** Leftovers of dead processes remain, or logs without a server. */
export class LeftoversFound extends Schema.TaggedError<LeftoversFound>()("LeftoversFound", {
  count: Schema.Int,
  repairTried: Schema.Boolean,
  /** Logs without a server, which the next server continues. */
  recoverable: Schema.Int
}) {
  override get message(): string {
    const { count, recoverable } = this
    const leftovers = count === 0 ? [] : [`${plural(count, "leftover")} not removed`]
    const logs = recoverable === 0 ? [] : [`${plural(recoverable, "log")} without a server`]
    return `${[...leftovers, ...logs].join(", ")} (${this.hint})`
  }

  get hint(): string {
    if (this.count === 0) return "`ringfence serve` continues it; --repair --fresh discards it"
    return this.repairTried ? "see the list for why" : "--repair removes what dead processes left"
  }
}

/** A requested region does not exist, is not a region, or is not accessible to this user. */
export class RegionsOutOfReach extends Schema.TaggedError<RegionsOutOfReach>()("RegionsOutOfReach", {
  regions: Schema.Array(Schema.Struct({ path: Schema.String, detail: Schema.String }))
}) {
  override get message(): string {
    return this.regions.map(({ detail, path }) => `${path}: ${detail}`).join("; ")
  }
}

const settings = { json: jsonSetting }

const inputs = {
  region: Flag.String("region").pipe(
    Flag.withMetavar("name"),
    Flag.withDescription("Inspect this region only"),
    Flag.optional
  ),
  path: Flag.String("path").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Also inspect the region in this file; repeatable"),
    Flag.filter((path) => path !== "", () => "no file is given"),
    Flag.atLeast(0)
  ),
  repair: Flag.Boolean("repair").pipe(
    Flag.withDescription("Remove what dead processes left; a region in use or a recoverable log is never touched"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  ),
  fresh: Flag.Boolean("fresh").pipe(
    Flag.withDescription("With --repair: also discard logs that a next server could continue"),
    Flag.withoutNegation,
    Flag.withDefault(false)
  )
}

export const doctor = Command.make(
  "doctor",
  { ...flagsOf(settings), ...inputs, printConfig: printConfigFlag },
  (input) => configured(settings, input, ({ values }) => examine(values.json, input))
).pipe(
  Command.withDescription(
    lines(
      "Lists the regions in shared memory, the processes that use them, and what dead processes left; of each log, what its",
      "topics keep, how far behind each subscriber is, and which processes hold back session slots. Ends with exit code 1",
      "when something is left over and was not removed or a log has no server, and 3 when a requested region does not exist",
      "or is not a region."
    )
  ),
  Command.withShortDescription("List regions and what dead processes left"),
  Command.withExamples([
    { command: "ringfence doctor", description: "Look" },
    { command: "ringfence doctor --repair", description: "List, and remove what dead processes left" }
  ])
)

// --- internal ---

interface Inputs {
  readonly region: Option.Option<string>
  readonly path: ReadonlyArray<string>
  readonly repair: boolean
  readonly fresh: boolean
}

const examine = Effect.fnUntraced(function*(json: boolean, { fresh, path, region, repair }: Inputs) {
  const inMemory = yield* regionsInMemory(region)
  const inFiles = (yield* Effect.forEach(path, Regions.inspectFile)).flat()
  const seen = yield* Effect.forEach([...inMemory, ...inFiles], withLog)
  const findings = repair ? yield* Effect.forEach(seen, (finding) => repaired(finding, fresh)) : seen
  const count = findings.filter(isLeftover).length
  const recoverable = findings.filter(isRecoverable).length
  const report: DoctorReport = { program: "doctor", healthy: count + recoverable === 0, repair, regions: findings }
  // Files in shared memory may belong to other users: only a requested region must be accessible to this user.
  const named = Option.isSome(region) ? findings : findings.slice(inMemory.length)
  const failure = failureOf({ count, recoverable, repairTried: repair }, named.filter(isOutOfReach))
  yield* printReport(json, report, describeDoctor, failure === undefined ? exitCode.ok : codeOfError(failure))
  if (failure !== undefined) return yield* failure
})

const failureOf = (
  left: { readonly count: number; readonly recoverable: number; readonly repairTried: boolean },
  outOfReach: ReadonlyArray<Finding>
) => {
  if (left.count + left.recoverable > 0) return new LeftoversFound(left)
  if (outOfReach.length === 0) return undefined
  return new RegionsOutOfReach({ regions: outOfReach.map(({ detail, path }) => ({ path, detail })) })
}

const regionsInMemory = (region: Option.Option<string>) =>
  Option.match(region, {
    onNone: () => Regions.list,
    onSome: Effect.fnUntraced(function*(name: string) {
      yield* CxlMemory.nameUsable(name)
      const path = CxlMemory.regionPath(name)
      const found = (yield* Regions.list).filter((region) =>
        region.path === path || region.path.startsWith(`${path}.creating-`) || region.bellOf === path
      )
      return found.length === 0 ? [yield* Regions.inspect(path)] : found
    })
  })

// A log whose region has changed since it was found, or cannot be mapped, is listed without its topics.
const withLog = (region: Regions.RegionSummary): Effect.Effect<Finding> => {
  const finding = findingOf(region)
  if (region.holds !== "log" || region.temporary) return Effect.succeed(finding)
  return Effect.match(Regions.inspectLog(region.path), {
    onSuccess: (log) => ({ ...finding, log }),
    onFailure: () => finding
  })
}

// removeDead() checks again, under the region's locks, that its owner is dead.
const repaired = (finding: Finding, fresh: boolean): Effect.Effect<Finding> =>
  isLeftover(finding) || (fresh && isRecoverable(finding))
    ? Regions.removeDead(finding.path, { discard: fresh }).pipe(
      Effect.match({
        onSuccess: (): Finding => ({ ...finding, status: "removed" }),
        onFailure: ({ detail }): Finding => ({ ...finding, detail: `not removed: ${detail}` })
      })
    )
    : Effect.succeed(finding)
