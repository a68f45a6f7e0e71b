package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
)

// pollInterval is how often a wait for several machines lists them: 100 per page, far below the
// limit of 60 reads a minute.
const pollInterval = 5 * time.Second

// waitForDeployed waits until all deployments are running, at most for the timeout, and updates
// made.
func (t *tool) waitForDeployed(
	ctx context.Context, c *client.Client, d *deployOptions, made []client.Deployment, offer *client.Offer,
) (err error) {
	if d.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.timeout)
		defer cancel()
	}
	if d.Count > 1 {
		err = t.waitForMany(ctx, c, made)
	} else {
		var now *client.Deployment
		if now, err = t.waitForRunning(ctx, c, &made[0], offer); now != nil {
			made[0] = *now
		}
	}
	if err == nil || ctx.Err() == nil {
		return err
	}
	if !t.machineOutput() {
		t.note("billet: the deployment continues. 'billet ps' lists it, 'billet wait %[1]s' resumes waiting, "+
			"'billet terminate %[1]s' terminates it.", copyableName(made[0]))
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		err = &cliError{
			exitEnded,
			"TIMED_OUT",
			fmt.Sprintf("timed out after %s; not running yet.", duration(d.timeout)),
		}
	}
	return err
}

// waitForRunning waits for one machine and shows its progress.
func (t *tool) waitForRunning(
	ctx context.Context, c *client.Client, d *client.Deployment, o *client.Offer,
) (*client.Deployment, error) {
	if !t.humanOutput() {
		return c.Deployments.WaitForRunning(ctx, d.ID, nil)
	}
	if o == nil { // only for the typical time, so an error is no failure
		o, _ = c.Offers.Get(ctx, d.OfferID)
	}
	typical := time.Duration(0)
	if o != nil && o.Reliability.MedianSecondsToSSH != nil {
		typical = time.Duration(*o.Reliability.MedianSecondsToSSH) * time.Second
	}
	p := t.newProgress(typical)
	defer p.end()
	return c.Deployments.WaitForRunning(ctx, d.ID, p.show)
}

// waitForMany waits until every deployment in made is running or has ended, with one list for all
// of them, and updates made. Deployments that ended are an error.
func (t *tool) waitForMany(ctx context.Context, c *client.Client, made []client.Deployment) error {
	index := map[string]int{}
	for i, d := range made {
		index[d.ID] = i
	}
	reported := -1
	for {
		for d, err := range c.Deployments.All(ctx, client.DeploymentQuery{Search: commonPrefix(made)}) {
			if err != nil {
				return err
			}
			if i, ours := index[d.ID]; ours {
				made[i] = d
			}
		}
		running, failed := 0, 0
		for _, d := range made {
			switch d.Status {
			case client.DeploymentPending, client.DeploymentDeploying:
			case client.DeploymentRunning:
				running++
			default:
				failed++
			}
		}
		if running+failed != reported && !t.machineOutput() {
			reported = running + failed
			text := fmt.Sprintf("  %d of %d running", running, len(made))
			if failed > 0 {
				text += fmt.Sprintf(", %d failed", failed)
			}
			t.note("%s", text)
		}
		if running+failed == len(made) {
			if failed == 0 {
				return nil
			}
			return &cliError{
				exitEnded, "DEPLOYMENT_ENDED",
				fmt.Sprintf("%d of %d failed to start. Run 'billet show' to see why.", failed, len(made)),
			}
		}
		if err := t.sleep(ctx, pollInterval); err != nil {
			return err
		}
	}
}

// commonPrefix returns the longest prefix that the names of all deployments share.
func commonPrefix(made []client.Deployment) string {
	name := made[0].Name
	for _, d := range made {
		for !strings.HasPrefix(d.Name, name) {
			name = name[:len(name)-1]
		}
	}
	return strings.ToValidUTF8(name, "")
}
