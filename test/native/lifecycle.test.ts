import { nativeSwarms } from "../backends/native/swarm.ts"
import { lifecycleFailoverSuite } from "../suites/membership/failover.ts"
import { lifecycleInvitationsSuite } from "../suites/membership/invitations.ts"
import { lifecycleJoiningSuite } from "../suites/membership/joining.ts"
import { lifecycleLeavingSuite } from "../suites/membership/leaving.ts"
import { lifecycleNamesSuite } from "../suites/membership/names.ts"
import { lifecycleSpawningSuite } from "../suites/membership/spawning.ts"

lifecycleJoiningSuite(nativeSwarms)
lifecycleLeavingSuite(nativeSwarms)
lifecycleFailoverSuite(nativeSwarms)
lifecycleNamesSuite(nativeSwarms)
lifecycleInvitationsSuite(nativeSwarms)
lifecycleSpawningSuite(nativeSwarms)
