// Package issue owns what an operator must see of the providers: orphaned machines and volumes,
// deployments without their machine, terminations that are stuck. It owns the policy that ends some
// of the orphans, and what an operator decides about the rest.
//
// It does not compare lists (packages deployment and volume do, and Report what they found). It
// does not end what has, or had, a deployment or volume here: those packages do. The end of an
// orphan is its own.
//
// Invariants:
//   - There is one live issue for each provider, kind and subject, held by a unique index. A watch
//     writes all that it found in a number of statements that does not depend on how much that is.
//   - An issue closes once no list has shown it for [settleAfter]: one list that is stale or
//     incomplete neither closes it nor makes a second one of it. It closes as ended if Billet had
//     it ended, else as settled. A dismissed issue stays dismissed, and is not raised again while
//     its subject exists.
//   - The policy ends orphaned machines only, whose reference has the form of a deployment id;
//     after the grace period, and only while at most [BreakerLimit] of them are open at that
//     provider. If there were more, the policy ends none of those: they look like another Billet's,
//     or like this one's before a backup was restored.
//   - What has no Billet reference is never ended, not even by an operator: Terminate takes a
//     reference, and it may belong to another system.
//   - That something is to be ended is committed before the provider is asked, and the provider is
//     asked again until its list agrees.
package issue
