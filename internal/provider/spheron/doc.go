// Package spheron is the adapter to Spheron, a broker of several sub-providers.
//
// It owns the paths, bodies and status words of that cloud's API. It does not own how requests are
// sent, counted and retried (upstream), nor anything that tenants see.
//
// # Invariants
//
//   - A deployment is identified by its name, the mark of its reference: there are no tags. A
//     launch looks for the mark in a fresh list of all deployments, ended or not, before it sends
//     its one create. Two with one mark that have not ended make every call fail as
//     KindUnavailable, with an error in the log, until one is ended: users can rename them in the
//     dashboard, so nothing shows which one is ours.
//   - Ready follows the status. The address is there long before.
//   - The cloud's list of active deployments leaves out what has ended, and how. A machine that
//     this process has seen and the list does not show is read by its id. One that it has never
//     seen is searched in the list of all. Only what is in neither is not found.
//   - upstream.Fleet does not fit: it takes what one list leaves out for gone.
//   - A machine that the provider reclaimed is MachineLost, one that failed MachineFailed or
//     MachineLost. After Terminate, neither is found. Neither costs anything.
//   - In any 15 minutes at most 95 requests are sent, and 9 creates of deployments; with the
//     settings, 95 percent and one less.
//
// # Offers
//
// The key is sub-provider, type of GPU, instance type, number of GPUs and the offer's id: all that
// must not change for a tenant who chose it. The other fields of a deploy come from the list of
// offers at the launch. The region is "<sub-provider>-<cluster>", for machines and volumes alike:
// two sub-providers may use one name for two places. The key has at most 128 bytes; an offer with a
// longer one is skipped and logged.
//
// # What the cloud cannot do
//
// It has no reboot, power control or reinstallation, takes one SSH key, and of cloud-init packages,
// commands and files only. A machine cannot be ended before it has run for 20 minutes, or longer by
// its offer. A volume is attached but not mounted: at Voltage Park it is an NFS export whose
// address is in the dashboard, elsewhere a block device or a share. So Volume.MountPath is "", and
// the tenant mounts the volume.
//
// # Settings
//
//   - team: the id of the team that pays; the account's current one by default. Set it where the
//     account has several.
//   - requests-per-15-minutes, creates-per-15-minutes: what the cloud allows the account; 100 and
//     10 by default. Raise them where the cloud has granted you more.
//
// # Inferred
//
//   - 100 requests in 15 minutes are allowed, not 250: the lower figure is used. Only creates of
//     deployments count among the 10 creates.
//   - Lists without teamId have the deployments and volumes of every team that the key may see. It
//     is not sent, so that a change of the current team hides nothing.
//   - The list of deployments without a status includes those that have ended. It always grows, and
//     past 16 MiB no launch succeeds: have the account cleaned, or use another one, before some ten
//     thousand deployments.
//   - CLUSTER, or "baremetal" in the type of GPU or the offer's name, is bare metal.
//   - A row is identified by sub-provider, type of GPU, instance type, number of GPUs, id and
//     cluster. Of two equal rows the cheapest available one counts.
//   - A refusal with "team id" or "team not found" is about the team, with "balance" or "credit"
//     about money, and with words like "no longer available" or "capacity" about stock.
//   - Machines that have failed or were reclaimed have ended, and need no DELETE.
//   - A 404 for a machine within 90 seconds of its creation means nothing.
//   - Regions of volumes and clusters of offers have the same ids. The region is not sent to
//     Voltage Park where it has only one.
//   - Paths of volumes take id, not volumeId. teamId is sent when a volume is created.
//   - Volumes of Sesterce need the id of a cloud that is in no list: they are left out. verda is
//     the new name of data-crunch.
//   - The volume's rate is per GB. A larger size is not checked against the region's limit; the
//     cloud does that.
//   - price is what an offer costs, whatever spot_price and discountedPrice are; sources differ on
//     the price of SPOT. hourlyRate is what a deployment costs, and an operator sees where the two
//     differ.
//
// # Confirmed
//
// teamId is required, offers have no top-level region, the instanceType filter works on groups, and
// user may be missing: measured by programs in use.
//
// Source: the cloud's public API documents, read in 2026. No live request was made.
package spheron
