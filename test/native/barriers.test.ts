import { barrierFailuresSuite } from "../suites/barrierFailures.ts"
import { barrierFenceSuite } from "../suites/barrierFence.ts"
import { barrierHandlersSuite } from "../suites/barrierHandlers.ts"
import { barrierModesSuite } from "../suites/barrierModes.ts"
import { barrierProtocolSuite } from "../suites/barrierProtocol.ts"
import { barrierRoundsSuite } from "../suites/barrierRounds.ts"
import { barrierTracingSuite } from "../suites/barrierTracing.ts"
import { swarmDamageSuite } from "../suites/swarmDamage.ts"
import { swarmRefusalsSuite } from "../suites/swarmRefusals.ts"
import { nativeSwarms } from "./swarmFamily.ts"

barrierModesSuite(nativeSwarms)
barrierRoundsSuite(nativeSwarms)
barrierFailuresSuite(nativeSwarms)
barrierProtocolSuite(nativeSwarms)
barrierFenceSuite(nativeSwarms)
barrierHandlersSuite(nativeSwarms)
barrierTracingSuite(nativeSwarms)
swarmDamageSuite(nativeSwarms)
swarmRefusalsSuite(nativeSwarms)
