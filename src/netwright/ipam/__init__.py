"""Pure IP address management: which address to hand out. No clock, no chance, no I/O.

What the store and its committer do with it, batch by batch (one batch at a time in a process):

1. `Ledger.adapt` to the subnets as they are. While `Ledger.shortfall(demand, now)` names any, read
   their `BlockTable` and
   - `choose_leases` names blocks: write owner and expiry, read their addresses, flag the full ones,
     `Ledger.lease` the `Geometry.views`;
   - it names none: read the blocks of `choose_survey`, `Ledger.survey` them.
2. For each command: `savepoint`; `allocate`, `take` (after `resting.claim`), `release`; `rollback`
   when the command fails. `NeedsBlocks` leads back to 1, with its `wanted`.
3. Write the batch. PRIMARY KEY (subnet_id, address) decides.
4. `commit`; or `abort(conflicts)` and decide the whole batch anew; or `forget` when the connection
   broke during commit. Only now tell the callers, of failures too.
"""
