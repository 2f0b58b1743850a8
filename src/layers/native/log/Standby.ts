/**
 * Waits, attached to the region, until its log has no server, and then runs the sequencer itself.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type NativeServer, type SequencerHandle, serverState } from "../../../native/binding.ts"
import { RegionLost } from "../../../services/CxlMemory.ts"
import { millisOf } from "../../../services/input/DurationInput.ts"
import { readOptions, refuseUnless } from "../../../services/input/OptionInvalid.ts"
import { continueOrEnd, processIdOf, showProcess } from "../../../services/schema/ProcessId.ts"
import type { RegionError } from "../../../services/schema/RegionError.ts"
import type { Server } from "../../../services/schema/Server.ts"
import { Sequencer } from "../../../services/Sequencer.ts"
import { formatMillis } from "../../../services/text/quantities.ts"
import { lookMillis, suspectMillisMin, Suspicion } from "../../log/Suspicion.ts"
import { NativeRegion } from "../region/NativeRegion.ts"
import { type Options, runSequencer, startSequencer } from "./Sequencer.ts"

export interface StandbyOptions extends Options {
  /**
   * Also takes over from a server that lives but has not run for so long, as one that is stopped: it then ends with
   * `Deposed`. At least 500 milliseconds. Default: never, because a server that is merely slow would be replaced too.
   */
  readonly takeoverSuspect?: Duration.Input | undefined
  /** Runs once if another process serves the log: this one waits for its end. */
  readonly onWaiting?: ((server: Server) => Effect.Effect<void>) | undefined
}

/** Ready once this process serves the log. Fails with `RegionLost` when the log ends in good order before that. */
export const layer = (
  options: StandbyOptions = {}
): Layer.Layer<Sequencer, RegionError | RegionLost, NativeRegion> =>
  Layer.effect(
    Sequencer,
    Effect.gen(function*() {
      const region = yield* NativeRegion
      const suspicion = yield* suspicionOf(region, options)
      // Also keeps the region's name, which a process that comes later needs.
      yield* region.hold
      const sequencer = yield* untilTakenOver(region, options, suspicion)
      return yield* runSequencer(region, options, sequencer)
    })
  )

// --- internal ---

type Region = NativeRegion["Service"]

const suspicionOf = ({ info }: Region, { takeoverSuspect }: StandbyOptions) =>
  readOptions(info.name, () => {
    if (takeoverSuspect === undefined) return undefined
    const millis = millisOf("takeoverSuspect", takeoverSuspect)
    refuseUnless(
      millis >= suspectMillisMin,
      "takeoverSuspect",
      takeoverSuspect,
      `at least ${formatMillis(suspectMillisMin)}`
    )
    return new Suspicion(millis)
  })

const untilTakenOver = (
  region: Region,
  options: StandbyOptions,
  suspicion: Suspicion | undefined
): Effect.Effect<SequencerHandle, RegionError | RegionLost, Scope.Scope> =>
  Effect.gen(function*() {
    const blocked = { told: "" }
    const standing = new Suspicion(holdupMillis)
    let isHoldupTold = false
    for (let isTold = false;;) {
      const found = region.handle.server()
      if (found.state === serverState.stopped) return yield* logEnded(region)
      const isSuspect = suspicion?.look(found.epoch, found.pulse, performance.now()) === true
      if (isVacant(found) || isSuspect) {
        const started = yield* startUnlessTaken(region, options, isSuspect ? found.epoch : 0, blocked)
        if (started !== undefined) return started
      } else if (!isTold) {
        isTold = true
        yield* options.onWaiting?.(serverOf(found)) ?? Effect.void
      }
      const isStanding = standing.look(found.epoch, found.pulse, performance.now()) && isRun(found)
      if (isStanding && !isHoldupTold && suspicion === undefined) yield* Effect.logWarning(standingLine(region, found))
      isHoldupTold = isStanding
      yield* Effect.sleep(lookMillis)
    }
  })

// Whether no process serves the log or is about to: the region's creator, before it is served for the first time.
const isVacant = ({ alive, own, state }: NativeServer): boolean =>
  state === serverState.died || (state === serverState.unknown && (own || !alive))

// Another candidate may be faster, and stopped processes may hold all places: then wait on.
const startUnlessTaken = (
  region: Region,
  options: StandbyOptions,
  suspected: number,
  blocked: { told: string }
): Effect.Effect<SequencerHandle | undefined, RegionError | RegionLost, Scope.Scope> =>
  Effect.catch(
    startSequencer(region, options, suspected),
    (error): Effect.Effect<undefined, RegionError | RegionLost> => {
      if (error.fault === "ended") return logEnded(region)
      if (error.fault === "busy") return Effect.succeed(undefined)
      if (error.fault !== "blocked") return Effect.fail(error)
      if (blocked.told === error.message) return Effect.succeed(undefined)
      blocked.told = error.message
      return Effect.as(Effect.logWarning(error.message), undefined)
    }
  )

/** Far longer than a server's pulse rests, also on a busy machine. */
const holdupMillis = 2000

const isRun = ({ state }: NativeServer): boolean => state === serverState.serving || state === serverState.recovering

// This process waits in vain for the end of a server, or of a process that takes over from one, as long as it is stopped.
const standingLine = ({ info }: Region, found: NativeServer): string => {
  const who = { ...processIdOf(found), name: found.name }
  const what = found.state === serverState.recovering ? "continues the log" : "serves the log"
  return `region "${info.name}": ${showProcess(who)} ${what} and has not run for ${formatMillis(holdupMillis)}: ${
    continueOrEnd(who)
  } and this process takes over; with --takeover-suspect (takeoverSuspect) it does so by itself`
}

const logEnded = ({ info }: Region) => Effect.fail(new RegionLost({ region: info.name, reason: "stopped" }))

const serverOf = (found: NativeServer): Server => ({
  serving: found.state !== serverState.unknown,
  ...processIdOf(found),
  name: found.name,
  own: found.own
})
