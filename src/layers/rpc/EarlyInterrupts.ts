/**
 * Keeps interrupts that arrive before their request.
 *
 * A caller publishes a request, if at all, before its interrupt. So once the server has read up to the position that
 * the caller had published when the interrupt arrived, it can forget the interrupt.
 */
import * as Effect from "effect/Effect"
import type { Mesh } from "../swarm/transport/Mesh.ts"
import type { Run } from "./SerialRunner.ts"

type CallId = string | number

export class EarlyInterrupts {
  readonly #mesh: Mesh
  readonly #run: Run
  readonly #calls = new Map<string, Set<CallId | "all">>()

  constructor(mesh: Mesh, run: Run) {
    this.#mesh = mesh
    this.#run = run
  }

  get size(): number {
    return this.#calls.size
  }

  has(caller: string, id: CallId): boolean {
    const calls = this.#calls.get(caller)
    return calls !== undefined && (calls.has("all") || calls.has(id))
  }

  add(sender: number, caller: string, id: CallId | "all"): void {
    const source = this.#mesh.source(this.#mesh.ringOf(sender) ?? -1)
    if (source === undefined) return
    const { generation, leading, ring } = {
      ...source.port,
      generation: source.port.generation(),
      leading: source.port.leading()
    }
    if (source.position("delivered") >= leading) return
    const calls = this.#calls.get(caller) ?? new Set<CallId | "all">()
    this.#calls.set(caller, calls.add(id))
    const read = Effect.ignore(source.reached({ ring, generation, position: leading }, "delivered"))
    this.#run(Effect.map(read, () => this.#forget(caller, calls, id)))
  }

  #forget(caller: string, calls: Set<CallId | "all">, id: CallId | "all"): void {
    calls.delete(id)
    if (calls.size === 0 && this.#calls.get(caller) === calls) this.#calls.delete(caller)
  }
}
