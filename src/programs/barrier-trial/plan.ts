/**
 * Plans a barrier trial: decides and checks all settings before anything starts.
 */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as CxlMemory from "../../layers/CxlMemory.ts"
import * as Swarm from "../../layers/Swarm.ts"
import type { BarrierMode } from "../../services/schema/BarrierArrival.ts"
import { removeLeftovers } from "../cli/region-plan.ts"
import { formatBytes, formatMicros, plural } from "../cli/units.ts"
import { DemoImpossible } from "../demo/plan.ts"
import type { MemberJob, TrialForm } from "./jobs.ts"
import { memberName } from "./rounds.ts"

/** A member that is killed in an iteration. */
export interface Kill {
  readonly member: number
  readonly iteration: number
}

export interface TrialOptions {
  readonly members: number
  readonly iterations: number
  readonly burst: number
  readonly handlerDelayMillis: number
  readonly mode: BarrierMode
  readonly form: TrialForm
  readonly drain: "on" | "off"
  readonly kill: Kill | undefined
  readonly trace: boolean
}

export interface TrialPlan {
  readonly options: TrialOptions
  readonly region: string
  readonly path: string
  readonly geometry: CxlMemory.Geometry
  readonly bytes: number
  readonly freeBytes: number
  /** The coordinator is the first. Only its handlers are slow. */
  readonly jobs: readonly [MemberJob, ...Array<MemberJob>]
}

/** `2@20`: member 2 in iteration 20. */
export const killFlag = (name: string): Flag.Flag<Kill> =>
  Flag.String(name).pipe(
    Flag.withMetavar("member@iteration"),
    Flag.filterMap(parseKill, (text) => `"${text}" is not a member and an iteration: write 2@20`)
  )

export const formatKill = ({ iteration, member }: Kill): string => `${member}@${iteration}`

export const plan = Effect.fnUntraced(function*(options: TrialOptions, program: "demo" | "soak" = "demo") {
  const impossible = impossibleKill(options)
  if (impossible !== undefined) return yield* new DemoImpossible({ option: "--kill", detail: impossible })
  yield* removeLeftovers(`${program}-`)
  const region = `${program}-barrier-${process.pid}`
  const path = CxlMemory.regionPath(region)
  const { bytes, freeBytes, geometry } = yield* CxlMemory.fittedSizes(path, {
    geometry: Swarm.geometry({ members: options.members, plainRings: 0 }),
    shrinkable: Swarm.shrinkableSizes()
  })
  const [coordinator, ...others] = Array.from({ length: options.members }, (_, i) => jobOf(options, region, i))
  const jobs: TrialPlan["jobs"] = [coordinator as MemberJob, ...others]
  return { options, region, path, geometry, bytes, freeBytes, jobs } satisfies TrialPlan
})

/** The plan in a few lines of text. */
export const describe = ({ bytes, freeBytes, options, path }: TrialPlan): string => {
  const { burst, drain, handlerDelayMillis, iterations, kill, members, mode } = options
  const delay = formatMicros(1000 * handlerDelayMillis)
  return [
    `region   ${path}, ${formatBytes(bytes)}; ${formatBytes(freeBytes)} are free there`,
    `members  ${members}, one process each; ${memberName(0)} coordinates and takes ${delay} a message`,
    `run      ${plural(iterations, "iteration")}: each sends ${plural(burst, "message")} to all, `
    + `then enters a barrier (${mode})`,
    ...(drain === "off" ? ["         draining is switched off: the checks must fail"] : []),
    ...(kill === undefined ? [] : [`         ${memberName(kill.member)} dies in iteration ${kill.iteration}`])
  ].join("\n")
}

// --- internal ---

const parseKill = (text: string): Option.Option<Kill> => {
  const [, member, iteration] = /^(\d{1,6})@(\d{1,6})$/.exec(text) ?? []
  return member === undefined ? Option.none() : Option.some({ member: Number(member), iteration: Number(iteration) })
}

const impossibleKill = ({ iterations, kill, members }: TrialOptions): string | undefined => {
  if (kill === undefined) return undefined
  if (kill.member === 0) return "member 0 coordinates and reports: kill another"
  if (kill.member >= members) return `there is no member ${kill.member}: members are 0 to ${members - 1}`
  if (kill.iteration >= 1 && kill.iteration <= iterations) return undefined
  return `there is no iteration ${kill.iteration}: iterations are 1 to ${iterations}`
}

/** Four times the longest wait of a barrier, and a margin for a busy machine. */
const deadlineOf = ({ burst, handlerDelayMillis }: TrialOptions): number => 15_000 + 4 * burst * handlerDelayMillis

const jobOf = (options: TrialOptions, region: string, member: number): MemberJob => ({
  region,
  name: memberName(member),
  member,
  members: options.members,
  iterations: options.iterations,
  burst: options.burst,
  mode: options.mode,
  form: options.form,
  handlerDelayMillis: member === 0 ? options.handlerDelayMillis : 0,
  deadlineMillis: deadlineOf(options),
  diesIn: options.kill?.member === member ? options.kill.iteration : 0
})
