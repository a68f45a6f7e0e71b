package client

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEnumerations checks that the functions return every constant of their type.
func TestEnumerations(t *testing.T) {
	t.Parallel()
	want := constants(t)
	for name, got := range map[string][]string{
		"DeploymentStatus":      names(DeploymentStatuses()),
		"InstanceType":          names(InstanceTypes()),
		"TransactionType":       names(TransactionTypes()),
		"UsageGroup":            names(UsageGroups()),
		"VolumeStatus":          names(VolumeStatuses()),
		"WebhookDeliveryStatus": names(WebhookDeliveryStatuses()),
	} {
		if diff := cmp.Diff(want[name], got); diff != "" {
			t.Errorf("%s (-constants +function):\n%s", name, diff)
		}
	}
}

func TestSortKeysAreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	_, ops := load(t)
	for id, keys := range map[string][]string{
		"listOffers": OfferSortKeys(), "listDeployments": DeploymentSortKeys(),
	} {
		i := slices.IndexFunc(ops[id].Parameters, func(p parameter) bool { return p.Name == "sortBy" })
		if i < 0 {
			t.Fatalf("%s: no parameter sortBy", id)
		}
		var want []string
		for _, e := range ops[id].Parameters[i].Schema.Enum {
			want = append(want, e.(string))
		}
		if diff := cmp.Diff(want, keys); diff != "" {
			t.Errorf("%s (-document +function):\n%s", id, diff)
		}
	}
}

// names returns the values as sorted strings.
func names[T ~string](values []T) []string {
	var out []string
	for _, v := range values {
		out = append(out, string(v))
	}
	slices.Sort(out)
	return out
}
