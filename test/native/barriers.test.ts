import { nativeSwarms } from "../backends/native/swarm.ts"
import { barrierFailuresSuite } from "../suites/barrier/failures.ts"
import { barrierFenceSuite } from "../suites/barrier/fence.ts"
import { barrierHandlersSuite } from "../suites/barrier/handlers.ts"
import { barrierModesSuite } from "../suites/barrier/modes.ts"
import { barrierProtocolSuite } from "../suites/barrier/protocol.ts"
import { barrierRoundsSuite } from "../suites/barrier/rounds.ts"
import { barrierTracingSuite } from "../suites/barrier/tracing.ts"
import { swarmDamageSuite } from "../suites/membership/damage.ts"
import { swarmRefusalsSuite } from "../suites/membership/refusals.ts"

barrierModesSuite(nativeSwarms)
barrierRoundsSuite(nativeSwarms)
barrierFailuresSuite(nativeSwarms)
barrierProtocolSuite(nativeSwarms)
barrierFenceSuite(nativeSwarms)
barrierHandlersSuite(nativeSwarms)
barrierTracingSuite(nativeSwarms)
swarmDamageSuite(nativeSwarms)
swarmRefusalsSuite(nativeSwarms)
