/**
 * Keeps interrupts that arrive before their request.
 *
 * A caller publishes a request, if at all, before its interrupt. So once the server has read up to the position that
 * the caller had published when the interrupt arrived, it can forget the interrupt.
 *
 * They belong to the member and the service's name, not to one server: the request may be read by the next server.
 */
import * as Effect from "effect/Effect"
import type { SwarmMember } from "../swarm/SwarmMember.ts"
import type { Mesh } from "../swarm/transport/Mesh.ts"

type CallId = string | number

export class EarlyInterrupts {
  readonly #mesh: Mesh
  readonly #run: (effect: Effect.Effect<void>) => void
  readonly #calls = new Map<string, Set<CallId | "all">>()

  private constructor(mesh: Mesh, run: (effect: Effect.Effect<void>) => void) {
    this.#mesh = mesh
    this.#run = run
  }

  /** Those of all servers that this member has, had and will have under that hash of a service's name. */
  static of(swarmMember: SwarmMember, type: number): EarlyInterrupts {
    const known = interrupts.get(swarmMember) ?? new Map<number, EarlyInterrupts>()
    interrupts.set(swarmMember, known)
    const found = known.get(type) ?? new EarlyInterrupts(swarmMember.mesh, swarmMember.run)
    known.set(type, found)
    return found
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

// --- internal ---

const interrupts = new WeakMap<SwarmMember, Map<number, EarlyInterrupts>>()
