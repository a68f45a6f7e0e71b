package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/billetcloud/billet/client"
)

var bulkCol columnsOf[client.BulkResult]

// bulkListing lists the results of a bulk action.
var bulkListing = listing[client.BulkResult]{
	id: func(r client.BulkResult) string { return r.ID },
	columns: []column[client.BulkResult]{
		bulkCol.text("id", "DEPLOYMENT", func(r client.BulkResult) string { return r.ID }),
		bulkCol.text("name", "NAME", func(r client.BulkResult) string { return r.Name }),
		bulkCol.text("result", "RESULT", bulkText),
		bulkCol.money("refund", "REFUND", total, func(r client.BulkResult) client.Money { return r.Refund }),
		bulkCol.money("release", "RELEASED", total, func(r client.BulkResult) client.Money { return r.Release }),
	},
	none: "No machines match.",
}

// bulkText describes the result for one machine.
func bulkText(r client.BulkResult) string {
	switch {
	case r.Error != nil:
		return r.Error.Message
	case r.Queued:
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
			t.note("  %s: %s, %s", clean(r.Name), clean(bulkText(r)), refundText(r.Refund, r.Release))
		}
	}
	if len(in.IDs) == 0 {
		if len(preview.Results) == 0 {
			return list(t, bulkListing, preview.Results)
		}
		return errors.Join(list(t, bulkListing, preview.Results), bulkFailed(preview.Results))
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
	for _, r := range preview.Results {
		if !r.OK {
			done.Results = append(done.Results, r)
		}
	}
	return errors.Join(list(t, bulkListing, done.Results), bulkFailed(done.Results))
}

// bulkFailed returns an error if the action was rejected for some machines.
func bulkFailed(results []client.BulkResult) error {
	failed := 0
	for _, r := range results {
		if !r.OK {
			failed++
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("%d of %s were not terminated; see RESULT", failed, plural(len(results), "machine"))
}
