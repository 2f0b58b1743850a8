/**
 * Every suite of the log, of rings and of swarms over flushed memory. This machine's memory is coherent, so this shows
 * that the instructions are made and change nothing; that none is missing, the explorer shows (test/native/explore.test.ts).
 */
import { nativeFlushed } from "../backends/native/log.ts"
import { nativeRingsFlushed } from "../backends/native/ring.ts"
import { nativeSwarmsFlushed } from "../backends/native/swarm.ts"
import { histories } from "../rounds.ts"
import { barrierFailuresSuite } from "../suites/barrier/failures.ts"
import { barrierFenceSuite } from "../suites/barrier/fence.ts"
import { barrierHandlersSuite } from "../suites/barrier/handlers.ts"
import { barrierModesSuite } from "../suites/barrier/modes.ts"
import { barrierProtocolSuite } from "../suites/barrier/protocol.ts"
import { barrierRoundsSuite } from "../suites/barrier/rounds.ts"
import { barrierTracingSuite } from "../suites/barrier/tracing.ts"
import { lapsSuite } from "../suites/log/laps.ts"
import { losingSuite } from "../suites/log/losing.ts"
import { publishingSuite } from "../suites/log/publishing.ts"
import { readingMixesSuite } from "../suites/log/readingMixes.ts"
import { readingOnSuite } from "../suites/log/readingOn.ts"
import { scenariosSuite } from "../suites/log/scenarios.ts"
import { subscribingSuite } from "../suites/log/subscribing.ts"
import { timesSuite } from "../suites/log/times.ts"
import { topicReuseSuite } from "../suites/log/topicReuse.ts"
import { unorderedSuite } from "../suites/log/unordered.ts"
import { swarmDamageSuite } from "../suites/membership/damage.ts"
import { lifecycleFailoverSuite } from "../suites/membership/failover.ts"
import { lifecycleInvitationsSuite } from "../suites/membership/invitations.ts"
import { lifecycleJoiningSuite } from "../suites/membership/joining.ts"
import { lifecycleLeavingSuite } from "../suites/membership/leaving.ts"
import { lifecycleNamesSuite } from "../suites/membership/names.ts"
import { swarmRefusalsSuite } from "../suites/membership/refusals.ts"
import { lifecycleSpawningSuite } from "../suites/membership/spawning.ts"
import { messengerDeliverySuite } from "../suites/messenger/delivery.ts"
import { messengerHandlersSuite } from "../suites/messenger/handlers.ts"
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
import { rpcCallsSuite } from "../suites/rpc/calls.ts"
import { rpcDamageSuite } from "../suites/rpc/damage.ts"
import { rpcEndingsSuite } from "../suites/rpc/endings.ts"
import { rpcHistoriesSuite } from "../suites/rpc/histories.ts"
import { rpcOrderSuite } from "../suites/rpc/order.ts"
import { rpcResultsSuite } from "../suites/rpc/results.ts"

losingSuite(nativeFlushed)
publishingSuite(nativeFlushed)
subscribingSuite(nativeFlushed)
topicReuseSuite(nativeFlushed)
readingOnSuite(nativeFlushed)
readingMixesSuite(nativeFlushed)
unorderedSuite(nativeFlushed)
lapsSuite(nativeFlushed)
timesSuite(nativeFlushed)
scenariosSuite(nativeFlushed)
ringDeliverySuite(nativeRingsFlushed)
ringBatchesSuite(nativeRingsFlushed)
ringLapsSuite(nativeRingsFlushed)
ringFragmentsSuite(nativeRingsFlushed)
ringPoliciesSuite(nativeRingsFlushed)
ringCursorsSuite(nativeRingsFlushed)
ringPlacesSuite(nativeRingsFlushed)
ringDeathsSuite(nativeRingsFlushed)
ringDamageSuite(nativeRingsFlushed)
ringEndingsSuite(nativeRingsFlushed)
barrierModesSuite(nativeSwarmsFlushed)
barrierRoundsSuite(nativeSwarmsFlushed)
barrierFailuresSuite(nativeSwarmsFlushed)
barrierProtocolSuite(nativeSwarmsFlushed)
barrierFenceSuite(nativeSwarmsFlushed)
barrierHandlersSuite(nativeSwarmsFlushed)
barrierTracingSuite(nativeSwarmsFlushed)
swarmDamageSuite(nativeSwarmsFlushed)
swarmRefusalsSuite(nativeSwarmsFlushed)
messengerDeliverySuite(nativeSwarmsFlushed)
messengerHandlersSuite(nativeSwarmsFlushed)
rpcResultsSuite(nativeSwarmsFlushed)
rpcCallsSuite(nativeSwarmsFlushed)
rpcEndingsSuite(nativeSwarmsFlushed)
rpcOrderSuite(nativeSwarmsFlushed)
rpcHistoriesSuite(nativeSwarmsFlushed, histories(3, 20))
rpcDamageSuite(nativeSwarmsFlushed)
lifecycleJoiningSuite(nativeSwarmsFlushed)
lifecycleLeavingSuite(nativeSwarmsFlushed)
lifecycleFailoverSuite(nativeSwarmsFlushed)
lifecycleNamesSuite(nativeSwarmsFlushed)
lifecycleInvitationsSuite(nativeSwarmsFlushed)
lifecycleSpawningSuite(nativeSwarmsFlushed)
