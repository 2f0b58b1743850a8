/**
 * Invites processes on behalf of this member: makes a token, registers its digest with the coordinator, and learns
 * which member joined with it. After a takeover it registers open invitations again.
 */
import type * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { CoordinatorLost, MemberInfo } from "../../../services/schema/Member.ts"
import { InvitationVoid } from "../../../services/Spawner.ts"
import type { ResolvedOptions } from "../SwarmOptions.ts"
import type { Notice } from "./ControlCodec.ts"
import type { CoordinatorClient } from "./CoordinatorClient.ts"
import { digestOf, freshInvitation } from "./InvitationTable.ts"

interface Open {
  readonly untilMillis: number
  readonly joined: Deferred.Deferred<MemberInfo, InvitationVoid>
}

export interface Invited {
  readonly token: string
  readonly joined: Effect.Effect<MemberInfo, InvitationVoid | CoordinatorLost>
  readonly cancel: Effect.Effect<void>
}

export class InvitationClient {
  readonly #coordinator: CoordinatorClient
  readonly #resolved: ResolvedOptions
  readonly #clock: Clock.Clock
  readonly #run: (effect: Effect.Effect<void>) => void
  readonly #open = new Map<string, Open>()

  constructor(
    coordinator: CoordinatorClient,
    resolved: ResolvedOptions,
    clock: Clock.Clock,
    run: (effect: Effect.Effect<void>) => void
  ) {
    this.#coordinator = coordinator
    this.#resolved = resolved
    this.#clock = clock
    this.#run = run
    coordinator.onNotice((notice) => this.#onNotice(notice))
  }

  invite(lifeMillis: number): Effect.Effect<Invited, CoordinatorLost> {
    return Effect.suspend(() => {
      const token = freshInvitation()
      const digest = digestOf(token)
      const open: Open = { untilMillis: this.#nowMillis + lifeMillis, joined: Deferred.makeUnsafe() }
      this.#open.set(digest, open)
      const invited = { token, joined: this.#joined(open), cancel: this.#cancel(digest, open) }
      return Effect.as(this.#register(digest, open), invited).pipe(
        Effect.onError(() => Effect.sync(() => this.#open.delete(digest)))
      )
    })
  }

  // --- internal ---

  get #nowMillis(): number {
    return this.#clock.currentTimeMillisUnsafe()
  }

  #register(digest: string, { untilMillis }: Open): Effect.Effect<void, CoordinatorLost> {
    const request = Effect.suspend(() =>
      this.#coordinator.request("Invite", { digest, lifeMillis: untilMillis - this.#nowMillis })
    )
    return Effect.retry(request, { while: ({ reason }) => reason === "replaced" })
  }

  // A process that asked to join in time may still wait for its admission when the invitation expires.
  #joined({ joined, untilMillis }: Open): Effect.Effect<MemberInfo, InvitationVoid | CoordinatorLost> {
    const duration = () => Math.max(0, untilMillis + this.#resolved.joinDeadlineMillis - this.#nowMillis)
    const expired = () => Effect.fail(new InvitationVoid({ reason: "expired" }))
    return Effect.suspend(() =>
      Effect.raceFirst(
        Effect.timeoutOrElse(Deferred.await(joined), { duration: duration(), orElse: expired }),
        this.#coordinator.lost
      )
    )
  }

  #cancel(digest: string, { joined }: Open): Effect.Effect<void> {
    const asked = Effect.suspend(() => this.#coordinator.request("Uninvite", { digest }))
    return Effect.suspend(() => {
      if (!this.#open.delete(digest)) return Effect.void
      Deferred.doneUnsafe(joined, Effect.fail(new InvitationVoid({ reason: "cancelled" })))
      return Effect.ignore(Effect.retry(asked, { while: ({ reason }) => reason === "replaced" }))
    })
  }

  #onNotice(notice: Notice): void {
    if (notice._tag === "TookOver") {
      for (const [digest, open] of this.#open) {
        if (open.untilMillis <= this.#nowMillis) this.#open.delete(digest)
        else this.#run(Effect.ignore(this.#register(digest, open)))
      }
    }
    if (notice._tag !== "Admitted") return
    const open = this.#open.get(notice.invitation)
    if (open === undefined) return
    this.#open.delete(notice.invitation)
    Deferred.doneUnsafe(open.joined, Effect.succeed(notice.member))
  }
}
