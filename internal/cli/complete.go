package cli

import (
	"context"
	"strings"
	"time"

	"github.com/billetcloud/billet/client"
	"github.com/spf13/cobra"
)

// completionPatience is how long a shell waits for names of the account's things.
const completionPatience = 2 * time.Second

// completeDeployment completes the first argument with names and ids of machines that have not ended. It says nothing where the server does not answer.
func (t *tool) completeDeployment(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return t.machineNames(cmd.Context(), begun), cobra.ShellCompDirectiveNoFileComp
}

// machineNames are names and ids of machines that begin so, with what they are.
func (t *tool) machineNames(ctx context.Context, begun string) []string {
	p, err := t.signedIn()
	if err != nil {
		return nil
	}
	config := t.config(p)
	config.MaxRetries, config.OnRetry = -1, nil
	c, err := client.New(config)
	if err != nil {
		return nil
	}
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionPatience)
	defer cancel()
	page, err := c.Deployments.List(ctx, client.DeploymentQuery{Paging: client.Paging{Limit: client.PageSize}, Statuses: alive})
	if err != nil {
		return nil
	}
	var names []string
	for _, d := range page.Items {
		about := "\t" + string(d.Status) + ", " + d.GPUType
		for _, name := range []string{d.Name, d.ID} {
			if strings.HasPrefix(name, begun) && !strings.ContainsAny(name, "\t\n") && (begun != "" || name == d.Name) {
				names = append(names, clean(name)+clean(about))
			}
		}
	}
	return names
}

// alive are the statuses of machines that have not ended.
var alive = []client.DeploymentStatus{client.DeploymentPending, client.DeploymentDeploying, client.DeploymentRunning, client.DeploymentStopped, client.DeploymentTerminating}
