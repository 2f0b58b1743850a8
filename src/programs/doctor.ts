/**
 * `ringfence doctor`: the regions of this host, who uses them, and what dead processes left.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as CxlMemory from "../layers/CxlMemory.ts"
import * as Regions from "../layers/Regions.ts"
import { configured, flagsOf, jsonSetting, printConfigFlag } from "./config.ts"
import { type Finding, findingOf, isLeftover } from "./doctor-finding.ts"
import { describeDoctor, type DoctorReport } from "./doctor-report.ts"
import { plural } from "./quantities.ts"
import { printReport } from "./report.ts"
import { lines } from "./usage.ts"

/** Dead processes left something that is still there. */
export class LeftoversFound extends Schema.TaggedError<LeftoversFound>()("LeftoversFound", {
  count: Schema.Int,
  repairTried: Schema.Boolean
}) {
  override get message(): string {
    const hint = this.repairTried ? "see the list for why" : "--repair removes what dead processes left"
    return `${plural(this.count, "leftover")} not removed (${hint})`
  }
}

const settings = { json: jsonSetting }

const inputs = {
  region: Flag.String("region").pipe(
    Flag.withMetavar("name"),
    Flag.withDescription("Look at this region only"),
    Flag.optional
  ),
  path: Flag.String("path").pipe(
    Flag.withMetavar("file"),
    Flag.withDescription("Look at a region in a file too; may be repeated"),
    Flag.atLeast(0)
  ),
  repair: Flag.Boolean("repair").pipe(
    Flag.withDescription("Remove what dead processes left; what anybody uses is never touched"),
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
      "Lists the regions in shared memory, who serves and uses them, and what dead processes left. Ends with exit code 1",
      "when something is left over and was not removed."
    )
  ),
  Command.withShortDescription("List regions and what dead processes left"),
  Command.withExamples([
    { command: "ringfence doctor", description: "Look" },
    { command: "ringfence doctor --repair", description: "Look, and remove what dead processes left" }
  ])
)

// --- internal ---

interface Inputs {
  readonly region: Option.Option<string>
  readonly path: ReadonlyArray<string>
  readonly repair: boolean
}

const examine = Effect.fnUntraced(function*(json: boolean, { path, region, repair }: Inputs) {
  const summaries = yield* Effect.all([regionsInMemory(region), Effect.forEach(path, Regions.inspect)])
  const seen = summaries.flat().map(findingOf)
  const findings = repair ? yield* Effect.forEach(seen, repaired) : seen
  const count = findings.filter(isLeftover).length
  const report: DoctorReport = { program: "doctor", healthy: count === 0, repair, regions: findings }
  yield* printReport(json, report, describeDoctor)
  if (count > 0) return yield* new LeftoversFound({ count, repairTried: repair })
})

const regionsInMemory = (region: Option.Option<string>) =>
  Option.match(region, {
    onNone: () => Regions.list,
    onSome: (name) =>
      Effect.map(Regions.list, (regions) =>
        regions.filter(({ path }) =>
          path === CxlMemory.regionPath(name) || path.startsWith(`${CxlMemory.regionPath(name)}.creating-`)
        ))
  })

// Whether its owner is really dead is checked again, under the region's locks, by whoever removes it.
const repaired = (finding: Finding): Effect.Effect<Finding> =>
  isLeftover(finding)
    ? Regions.removeDead(finding.path).pipe(
      Effect.match({
        onSuccess: (): Finding => ({ ...finding, status: "removed" }),
        onFailure: ({ detail }): Finding => ({ ...finding, detail: `not removed: ${detail}` })
      })
    )
    : Effect.succeed(finding)
