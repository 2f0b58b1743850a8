import { memoryRings } from "../backends/memory/ring.ts"
import { ringBatchesSuite } from "../suites/ring/batches.ts"
import { ringCursorsSuite } from "../suites/ring/cursors.ts"
import { ringDamageSuite } from "../suites/ring/damage.ts"
import { ringDeathsSuite } from "../suites/ring/deaths.ts"
import { ringDeliverySuite } from "../suites/ring/delivery.ts"
import { ringEndingsSuite } from "../suites/ring/endings.ts"
import { ringFragmentsSuite } from "../suites/ring/fragments.ts"
import { ringLapsSuite } from "../suites/ring/laps.ts"
import { ringPlacesSuite } from "../suites/ring/places.ts"
import { ringPoliciesSuite } from "../suites/ring/policies.ts"

ringDeliverySuite(memoryRings)
ringBatchesSuite(memoryRings)
ringLapsSuite(memoryRings)
ringFragmentsSuite(memoryRings)
ringPoliciesSuite(memoryRings)
ringCursorsSuite(memoryRings)
ringPlacesSuite(memoryRings)
ringDeathsSuite(memoryRings)
ringDamageSuite(memoryRings)
ringEndingsSuite(memoryRings)
