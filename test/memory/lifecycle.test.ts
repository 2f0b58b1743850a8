import { lifecycleFailoverSuite } from "../suites/lifecycleFailover.ts"
import { lifecycleInvitationsSuite } from "../suites/lifecycleInvitations.ts"
import { lifecycleJoiningSuite } from "../suites/lifecycleJoining.ts"
import { lifecycleLeavingSuite } from "../suites/lifecycleLeaving.ts"
import { lifecycleNamesSuite } from "../suites/lifecycleNames.ts"
import { lifecycleSpawningSuite } from "../suites/lifecycleSpawning.ts"
import { memorySwarms } from "./swarmFamily.ts"

lifecycleJoiningSuite(memorySwarms)
lifecycleLeavingSuite(memorySwarms)
lifecycleFailoverSuite(memorySwarms)
lifecycleNamesSuite(memorySwarms)
lifecycleInvitationsSuite(memorySwarms)
lifecycleSpawningSuite(memorySwarms)
