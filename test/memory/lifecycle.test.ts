import { memorySwarms } from "../backends/memory/swarm.ts"
import { lifecycleFailoverSuite } from "../suites/membership/failover.ts"
import { lifecycleInvitationsSuite } from "../suites/membership/invitations.ts"
import { lifecycleJoiningSuite } from "../suites/membership/joining.ts"
import { lifecycleLeavingSuite } from "../suites/membership/leaving.ts"
import { lifecycleNamesSuite } from "../suites/membership/names.ts"
import { lifecycleSpawningSuite } from "../suites/membership/spawning.ts"

lifecycleJoiningSuite(memorySwarms)
lifecycleLeavingSuite(memorySwarms)
lifecycleFailoverSuite(memorySwarms)
lifecycleNamesSuite(memorySwarms)
lifecycleInvitationsSuite(memorySwarms)
lifecycleSpawningSuite(memorySwarms)
