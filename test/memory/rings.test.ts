import { ringCursorsSuite } from "../suites/ringCursors.ts"
import { ringDamageSuite } from "../suites/ringDamage.ts"
import { ringDeathsSuite } from "../suites/ringDeaths.ts"
import { ringDeliverySuite } from "../suites/ringDelivery.ts"
import { ringEndingsSuite } from "../suites/ringEndings.ts"
import { ringFragmentsSuite } from "../suites/ringFragments.ts"
import { ringLapsSuite } from "../suites/ringLaps.ts"
import { ringPlacesSuite } from "../suites/ringPlaces.ts"
import { ringPoliciesSuite } from "../suites/ringPolicies.ts"
import { memoryRings } from "./ringFamily.ts"

ringDeliverySuite(memoryRings)
ringLapsSuite(memoryRings)
ringFragmentsSuite(memoryRings)
ringPoliciesSuite(memoryRings)
ringCursorsSuite(memoryRings)
ringPlacesSuite(memoryRings)
ringDeathsSuite(memoryRings)
ringDamageSuite(memoryRings)
ringEndingsSuite(memoryRings)
