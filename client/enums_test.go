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

// names returns the values as sorted strings.
func names[T ~string](values []T) []string {
	var out []string
	for _, v := range values {
		out = append(out, string(v))
	}
	slices.Sort(out)
	return out
}
