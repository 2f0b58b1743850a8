import { barrierFailuresSuite } from "../suites/barrierFailures.ts"
import { barrierFenceSuite } from "../suites/barrierFence.ts"
import { barrierHandlersSuite } from "../suites/barrierHandlers.ts"
import { barrierModesSuite } from "../suites/barrierModes.ts"
import { barrierProtocolSuite } from "../suites/barrierProtocol.ts"
import { barrierRoundsSuite } from "../suites/barrierRounds.ts"
import { barrierTracingSuite } from "../suites/barrierTracing.ts"
import { swarmDamageSuite } from "../suites/swarmDamage.ts"
import { swarmRefusalsSuite } from "../suites/swarmRefusals.ts"
import { memorySwarms } from "./swarmFamily.ts"

barrierModesSuite(memorySwarms)
barrierRoundsSuite(memorySwarms)
barrierFailuresSuite(memorySwarms)
barrierProtocolSuite(memorySwarms)
barrierFenceSuite(memorySwarms)
barrierHandlersSuite(memorySwarms)
barrierTracingSuite(memorySwarms)
swarmDamageSuite(memorySwarms)
swarmRefusalsSuite(memorySwarms)
