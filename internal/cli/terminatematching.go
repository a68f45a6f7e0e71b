package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/billetcloud/billet/client"
)

// terminations lists the results of terminations.
func terminations() listing[client.BulkResult] {
	var col columnsOf[client.BulkResult]
	l := bulkListing(terminationText)
	l.columns = append(l.columns,
		col.money("refund", "REFUND", total, func(r client.BulkResult) client.Money { return r.Refund }),
		col.money("release", "RELEASED", total, func(r client.BulkResult) client.Money { return r.Release }))
	return l
}

// terminationText describes what was not refused.
func terminationText(r client.BulkResult) string {
	if r.Queued {
		return "terminates once the minimum runtime is met"
	}
	return "terminates now"
}

// terminateMatching terminates all machines that match. It first lists them with their refunds.
func (t *tool) terminateMatching(
	ctx context.Context, c *client.Client, filter client.BulkFilter, when client.When, yes bool,
) error {
	in := client.BulkDeployments{Action: client.BulkTerminate, Filter: &filter, When: when, DryRun: true}
	preview, err := c.Deployments.Bulk(ctx, in)
	if err != nil {
		return err
	}
	// What is confirmed is what is terminated, whatever matches meanwhile.
	in.Filter, in.DryRun = nil, false
	var returned client.Money
	for _, r := range preview.Results {
		if r.OK {
			in.IDs, returned = append(in.IDs, r.ID), returned+r.Refund+r.Release
		}
	}
	if t.humanOutput() && !yes {
		for _, r := range preview.Results {
			text := terminationText(r)
			if r.Error != nil {
				text = r.Error.Message
			}
			t.note("  %s: %s, %s", clean(r.Name), clean(text), refundText(r.Refund, r.Release))
		}
	}
	if len(in.IDs) == 0 {
		if len(preview.Results) == 0 {
			return list(t, terminations(), preview.Results)
		}
		return errors.Join(list(t, terminations(), preview.Results), bulkFailed(preview.Results, "terminated"))
	}
	question := fmt.Sprintf("Terminate %s? %s returned. Local disks are deleted.",
		plural(len(in.IDs), "machine"), total(returned))
	if err := t.confirmDestructive(ctx, yes, question); err != nil {
		return err
	}
	done, err := c.Deployments.Bulk(ctx, in)
	if err != nil {
		return err
	}
	all := withRefused(done.Results, preview.Results)
	return errors.Join(list(t, terminations(), all), bulkFailed(all, "terminated"))
}

// bulkFailed returns an error if some machines were not changed, in that word.
func bulkFailed(results []client.BulkResult, changed string) error {
	failed := 0
	for _, r := range results {
		if !r.OK {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %s were not %s; see RESULT", failed, plural(len(results), "machine"), changed)
}
