/**
 * The region of a log in this heap: it has one process, this one.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { type AttachedProcess, CxlMemory, type RegionInfo } from "../../../services/CxlMemory.ts"
import { processTitle } from "../../node/ProcessTitle.ts"
import { HeapLog } from "./HeapLog.ts"
import type { Heap } from "./LogState.ts"

export const layer: Layer.Layer<CxlMemory, never, HeapLog> = Layer.effect(
  CxlMemory,
  Effect.map(
    HeapLog,
    ({ heap }) => CxlMemory.of({ info: infoOf(heap), processes: Effect.sync(() => [thisProcess()]), hold: Effect.void })
  )
)

export const infoOf = ({ geometry, id, region }: Heap): RegionInfo => ({
  name: region,
  path: "",
  backing: "heap",
  coherence: "coherent",
  regionId: id,
  bytes: geometry.brokers * geometry.clients * geometry.laneBytes,
  geometry,
  owner: true
})

// --- internal ---

const thisProcess = (): AttachedProcess => ({
  slot: 0,
  generation: 1,
  pid: process.pid,
  name: processTitle(),
  alive: true
})
