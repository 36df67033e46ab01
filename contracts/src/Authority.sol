// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

// Compiled here so that its artifact ships with ours: deployments name it as the registry's authority.
// forge-lint: disable-next-line(unused-import)
import {AccessManager} from "@openzeppelin/contracts/access/manager/AccessManager.sol";
