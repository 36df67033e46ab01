// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

import {ICrosspointGateway} from "../src/interfaces/ICrosspointGateway.sol";
import {ICrosspointRegistry} from "../src/interfaces/ICrosspointRegistry.sol";
import {IGatewayAdmin} from "../src/interfaces/IGatewayAdmin.sol";
import {GatewayTest} from "./utils/GatewayTest.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";

/// @dev What governance may do, and what nobody may.
contract RegistryTest is GatewayTest {
    function test_everything_that_changes_is_restricted() public {
        bytes[] memory calls = new bytes[](10);
        address[] memory none = new address[](0);
        calls[0] = abi.encodeCall(registry.bind, (address(gateway)));
        calls[1] = abi.encodeCall(registry.bindIntents, (address(intents)));
        calls[2] = abi.encodeCall(registry.openClient, (_config(), chain.header()));
        calls[3] = abi.encodeCall(registry.openVoucher, (CLIENT, "abc", "A", "A", 0, 1, _noLimits()));
        calls[4] = abi.encodeCall(registry.listToken, (CLIENT, address(token), _noLimits()));
        calls[5] = abi.encodeCall(registry.setLimits, (CLIENT, VOUCHER, _noLimits()));
        calls[6] = abi.encodeCall(registry.pause, (CLIENT));
        calls[7] = abi.encodeCall(registry.unpause, (CLIENT));
        calls[8] = abi.encodeCall(registry.setStanding, (none, ICrosspointRegistry.Standing.Member));
        calls[9] = abi.encodeCall(registry.reanchor, (CLIENT, chain.header()));
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(relayer);
            (bool ok, bytes memory data) = address(registry).call(calls[i]);
            assertTrue(!ok, string.concat("call ", vm.toString(i)));
            assertEq(bytes32(bytes4(data)), bytes32(IAccessManaged.AccessManagedUnauthorized.selector), "error");
        }
    }

    function test_an_operator_may_pause_and_nothing_else() public {
        bytes4[] memory selectors = new bytes4[](1);
        selectors[0] = registry.pause.selector;
        manager.setTargetFunctionRole(address(registry), selectors, 7);
        manager.grantRole(7, relayer, 0);
        vm.prank(relayer);
        registry.pause(CLIENT);
        assertTrue(registry.clientInfo(CLIENT).paused, "paused");
        vm.prank(relayer);
        vm.expectRevert(abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, relayer));
        registry.unpause(CLIENT);
    }

    function test_the_gateway_obeys_the_registry_alone() public {
        IGatewayAdmin.Route memory route;
        IGatewayAdmin.Lane memory lane;
        vm.expectRevert(ICrosspointGateway.Unauthorized.selector);
        gateway.openRoute("checkpoint-9", route);
        vm.expectRevert(ICrosspointGateway.Unauthorized.selector);
        gateway.openLane("key", lane);
        vm.expectRevert(ICrosspointGateway.Unauthorized.selector);
        gateway.setLimits("key", 0, 0, 0, 0);
        vm.expectRevert(ICrosspointGateway.Unauthorized.selector);
        gateway.setPaused(CLIENT, true);
        vm.expectRevert(ICrosspointGateway.Unauthorized.selector);
        gateway.setStanding(merchant, 3);
        vm.expectRevert(ICrosspointGateway.Unauthorized.selector);
        gateway.setIntents(merchant);
    }

    function test_a_counterparty_and_a_token_never_change() public {
        ICrosspointRegistry.ClientConfig memory config = _config();
        config.counterparty = "attested-9";
        bytes memory header = chain.header();
        vm.expectRevert(ICrosspointRegistry.Exists.selector);
        registry.openClient(config, header);
        vm.expectRevert(ICrosspointRegistry.Exists.selector);
        registry.openVoucher(CLIENT, "sfs", "A", "A", 0, 1, _noLimits());
        vm.expectRevert(ICrosspointRegistry.Exists.selector);
        registry.listToken(CLIENT, address(token), _noLimits());
        vm.expectRevert(ICrosspointRegistry.AlreadyBound.selector);
        registry.bind(address(gateway));
    }

    function test_ids_denoms_and_rules_are_checked() public {
        bytes memory header = chain.header();
        ICrosspointRegistry.ClientConfig memory config = _config();
        bytes32[4] memory bad = [bytes32("abc"), bytes32("UPPER"), bytes32("with space"), bytes32("nul\x00inside")];
        for (uint256 i = 0; i < bad.length; ++i) {
            config.client = bad[i];
            vm.expectRevert(abi.encodeWithSelector(ICrosspointRegistry.Invalid.selector, "client"));
            registry.openClient(config, header);
        }
        config.client = "checkpoint-1";
        config.rules.minHold = TRUSTING;
        vm.expectRevert(abi.encodeWithSelector(ICrosspointRegistry.Invalid.selector, "rules"));
        registry.openClient(config, header);
        config.rules.trustingPeriod = (uint32(type(uint24).max) + 1) * 3;
        vm.expectRevert(abi.encodeWithSelector(ICrosspointRegistry.Invalid.selector, "rules"));
        registry.openClient(config, header);
        vm.expectRevert(abi.encodeWithSelector(ICrosspointRegistry.Invalid.selector, "cap"));
        registry.openVoucher(CLIENT, "abc", "A", "A", 0, uint128(type(uint120).max) + 1, _noLimits());
        vm.expectRevert(abi.encodeWithSelector(ICrosspointRegistry.Invalid.selector, "packetDenom"));
        registry.openVoucher(CLIENT, "ab", "A", "A", 0, 1, _noLimits());
        vm.expectRevert(abi.encodeWithSelector(ICrosspointRegistry.Invalid.selector, "packetDenom"));
        registry.openVoucher(CLIENT, homeReturned, "A", "A", 0, 1, _noLimits());
        vm.expectRevert(abi.encodeWithSelector(ICrosspointRegistry.Invalid.selector, "token"));
        registry.listToken(CLIENT, address(voucher), _noLimits());
        vm.expectRevert(abi.encodeWithSelector(ICrosspointRegistry.Invalid.selector, "token"));
        registry.listToken(CLIENT, merchant, _noLimits());
    }

    function test_a_token_or_escrow_stays_reserved() public {
        address[] memory who = new address[](1);
        who[0] = address(voucher);
        vm.expectRevert(abi.encodeWithSelector(ICrosspointRegistry.Invalid.selector, "account"));
        registry.setStanding(who, ICrosspointRegistry.Standing.Member);
        who[0] = merchant;
        vm.expectRevert(abi.encodeWithSelector(ICrosspointRegistry.Invalid.selector, "standing"));
        registry.setStanding(who, ICrosspointRegistry.Standing.Reserved);
    }

    function test_the_lists_tell_the_audit_all() public view {
        assertEq(registry.clientCount(), 1, "clients");
        assertEq(registry.denomCount(), 2, "denoms");
        ICrosspointRegistry.ClientInfo memory info = registry.clientAt(0);
        assertEq(info.client, CLIENT, "client");
        assertEq(info.counterparty, COUNTERPARTY, "counterparty");
        assertEq(bytes(info.chainId), "crosspoint-1", "chain id");
        assertEq(info.rules.trustingPeriod, TRUSTING, "trusting period");
        assertEq(info.trustedHeight, 1, "height");
        assertEq(info.nextSequence, 1, "sequence");
        assertEq(bytes(registry.supplyAt(0).denom), bytes(VOUCHER), "first denom");
        assertEq(bytes(registry.supplyAt(0).packetDenom), "sfs", "as packets carry it");
        assertEq(bytes(registry.supplyAt(0).symbol), "SFS", "symbol");
        assertEq(registry.supplyAt(0).cap, 910_000_000, "cap");
        assertEq(bytes(registry.supplyAt(1).denom), bytes(home), "second denom");
        assertEq(registry.tokenOf(CLIENT, VOUCHER), address(voucher), "token");
    }

    function test_no_token_makes_the_lists_unreadable() public {
        OddSymbol odd = new OddSymbol();
        registry.listToken(CLIENT, address(odd), _noLimits());
        string memory denom = registry.supplyAt(2).denom;
        bytes[6] memory answers = [
            abi.encode(bytes32("MKR")),
            abi.encode("MKR"),
            abi.encode("MK\x00R\xff"),
            hex"4d4b52",
            abi.encode(uint256(32), type(uint256).max, bytes32("MKRMKRMKRMKRMKRMKRMKRMKRMKRMKRMK")),
            new bytes(200_000)
        ];
        string[6] memory symbols = ["MKR", "MKR", "MKR", "", "MKRMKRMKRMKRMKRMKRMKRMKRMKRMKRMK", ""];
        for (uint256 i = 0; i < answers.length; ++i) {
            odd.set(answers[i], i == 3);
            assertEq(bytes(registry.supplyAt(2).symbol), bytes(symbols[i]), vm.toString(i));
            assertEq(bytes(registry.supplyOf(CLIENT, denom).denom), bytes(denom), vm.toString(i));
        }
    }

    function test_members_only_clients_know_their_members() public {
        ICrosspointRegistry.ClientConfig memory config = _config();
        config.client = "checkpoint-1";
        config.counterparty = "attested-1";
        config.membersOnly = true;
        registry.openClient(config, chain.header());
        registry.listToken("checkpoint-1", address(token), _noLimits());
        token.mint(merchant, 10);
        vm.prank(merchant);
        token.approve(address(gateway), 10);
        (ICrosspointGateway.Lock memory lock,) = _lock(merchant, home, 10, _hashlock("h"));
        lock.client = "checkpoint-1";
        vm.prank(merchant);
        vm.expectRevert(abi.encodeWithSelector(ICrosspointGateway.MayNotTransact.selector, merchant));
        gateway.send(lock);
        address[] memory who = new address[](1);
        who[0] = merchant;
        registry.setStanding(who, ICrosspointRegistry.Standing.Member);
        vm.prank(merchant);
        assertEq(gateway.send(lock), 1, "sequence");
    }

    function test_a_prefix_stands_before_every_key() public {
        ICrosspointRegistry.ClientConfig memory config = _config();
        config.client = "checkpoint-1";
        config.prefix = "ibc/";
        registry.openClient(config, chain.header());
        registry.openVoucher("checkpoint-1", "sfs", "S", "S", 0, 1000, _noLimits());
        assertEq(registry.clientInfo("checkpoint-1").prefix, "ibc/", "prefix");
        // The head stands under the key without the prefix: no proof for this client.
        P memory p = _incoming(5);
        _sendFromNative(_list(p));
        bytes memory state = chain.update();
        bytes memory siblings = chain.membership("outbox/attested-0/sent");
        bytes memory outbox = abi.encodePacked(uint16(siblings.length / 32), siblings, chain.headOf("sent"), uint16(0));
        vm.expectRevert(ICrosspointGateway.ProofInvalid.selector);
        gateway.recv("checkpoint-1", state, outbox, hex"000000");
        chain.put("ibc/outbox/attested-0/sent", abi.encodePacked(chain.headOf("sent")));
        chain.endBlock(1);
        siblings = chain.membership("ibc/outbox/attested-0/sent");
        outbox = abi.encodePacked(uint16(siblings.length / 32), siblings, chain.headOf("sent"), uint16(0));
        gateway.recv("checkpoint-1", chain.update(), outbox, hex"000000");
    }
}

/// @dev A token whose `symbol` answers with whatever bytes it was told to, or fails with them.
contract OddSymbol {
    bytes private _answer;
    bool private _fails;

    function set(bytes calldata answer, bool fails) external {
        (_answer, _fails) = (answer, fails);
    }

    fallback(bytes calldata) external returns (bytes memory) {
        bytes memory answer = _answer;
        if (_fails) {
            assembly ("memory-safe") {
                revert(add(answer, 32), mload(answer))
            }
        }
        return answer;
    }
}
