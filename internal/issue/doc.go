// Package issue owns what a comparison of a provider's lists with our records has found and nobody owns: machines
// and volumes without an owner, owners without a machine, ends that do not come. It owns the policy that ends some of
// them, and what an operator decides about the rest.
//
// It does not compare (packages deployment and volume do, and Report what they saw), and it does not end what has an
// owner, or had one: the room of that owner does. The end of a machine or volume without any is its own.
//
// Invariants:
//   - One live issue for each provider, kind and subject, held by a unique index. A watch writes all that it saw in
//     a number of statements that does not depend on how much that is.
//   - A issue closes by itself once no list has shown it for [settleAfter]: one list that is stale, or left it out,
//     neither closes it nor makes a second one of it. It closes as ended where Billet had it ended, else as settled; a
//     dismissed one stays dismissed, and is not raised again while it is there.
//   - Policy ends unowned machines only, whose reference has the form of one of our own ids; after the grace, and only while at
//     most [BreakerLimit] of them are open at that provider. Once there were more, no policy ends any of those:
//     they look like another Billet's, or like ours before a backup was restored.
//   - What has no reference of ours is never ended, whoever asks: Terminate takes a reference, and it may be somebody else's.
//   - That something is to be ended is committed before the provider is asked, and the provider is asked again until
//     its list agrees.
package issue
