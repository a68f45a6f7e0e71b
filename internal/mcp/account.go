package mcp

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/billetcloud/billet/client"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxListed is how many entries a result has that has no pages.
const maxListed = 100

// dearest returns the maxListed entries that cost most, in that order, and how many more there are.
func dearest[T any](all []T, cost func(T) client.Money) (listed []T, omitted int) {
	listed = slices.Clone(all)
	slices.SortStableFunc(listed, func(a, b T) int { return cmp.Compare(cost(b), cost(a)) })
	n := min(len(listed), maxListed)
	return listed[:n:n], len(listed) - n
}

type namedInput struct {
	Search string `json:"search,omitempty" jsonschema:"part of the name or the id"`
	paging
}

type listEventsInput struct {
	Subject string   `json:"subject,omitempty" jsonschema:"only events of the deployment, volume or account with this id"`
	Types   []string `json:"types,omitempty" jsonschema:"only events of these types, such as deployment.running"`
	paging
}

type listTransactionsInput struct {
	interval
	DeploymentID string `json:"deploymentId,omitempty" jsonschema:"only transactions of this deployment"`
	paging
}

type usageInput struct {
	interval
	GroupBy string `json:"groupBy,omitempty" jsonschema:"default: day"`
}

// wallet is the result of get_wallet.
type wallet struct {
	client.Wallet
	OmittedDeployments int `json:"omittedDeployments" jsonschema:"number of active deployments that are not listed; see list_deployments"`
	OmittedVolumes     int `json:"omittedVolumes" jsonschema:"number of volumes that are not listed; see list_volumes"`
}

// usage is the result of get_usage.
type usage struct {
	client.Usage
	OmittedGroups int `json:"omittedGroups" jsonschema:"number of groups that are not listed; they count in total"`
}

// project is what has one value as its project.
type project struct {
	Project     *string      `json:"project" jsonschema:"null for what is in no project"`
	Machines    int          `json:"machines" jsonschema:"machines that have not ended"`
	HourlyPrice client.Money `json:"hourlyPrice" jsonschema:"US dollars per hour of these machines"`
	Cost        client.Money `json:"cost" jsonschema:"charges of the interval net of refunds, in US dollars"`
}

// projects is the result of list_projects.
type projects struct {
	From         time.Time `json:"from"`
	To           time.Time `json:"to"`
	Items        []project `json:"items"`
	OmittedItems int       `json:"omittedItems" jsonschema:"number of projects that are not listed"`
	Exact        bool      `json:"exact" jsonschema:"false if there are more than 1,000 machines, so that some are not counted"`
}

func (s *session) addAccountTools(server *sdk.Server) {
	addTool(server, toolSpec{
		name: "get_wallet", title: "Get the wallet",
		text: "Get the balance, the holds, the active resources with their hourly spend, and the runway. While the " +
			"balance is low or past due, lowBalance or pastDue has the deadlines: when machines end and when " +
			"volumes are deleted. The 100 most expensive deployments and volumes are listed.",
	}, s.getWallet)
	addTool(server, toolSpec{
		name: "get_quotas", title: "Get the quotas",
		text: "Get how many machines, GPUs and volumes the account may have at once, its hourly spend, and what it " +
			"uses of that. Use it after QUOTA_EXCEEDED.",
	}, func(ctx context.Context, _ noInput) (*client.Quotas, error) { return s.Client.Quotas.Get(ctx) })
	addTool(server, toolSpec{
		name: "list_budgets", title: "List budgets",
		text: "List the account's budgets with what is spent and committed in the current period. Use it after " +
			"BUDGET_EXCEEDED. Only the user can change a budget.",
	}, func(ctx context.Context, in paging) (*listed[client.Budget], error) {
		p, err := s.Client.Budgets.List(ctx, in.of())
		return page(p, err, same)
	})
	addTool(server, toolSpec{
		name: "list_announcements", title: "List announcements",
		text: "List current announcements to the account, such as maintenance at a provider where it has " +
			"machines: the most important first. Tell the user of warning and critical ones.",
	}, func(ctx context.Context, in paging) (*listed[client.Announcement], error) {
		p, err := s.Client.Announcements.List(ctx, in.of())
		return page(p, err, same)
	})
	addTool(server, toolSpec{
		name: "list_projects", title: "List projects",
		text: "List the projects with their machines that have not ended, their hourly price, and their cost in an " +
			"interval. The default is the last 30 days. The 100 most expensive are listed.",
	}, s.listProjects)
	addTool(server, toolSpec{
		name: "list_events", title: "List events",
		text: "List what happened to the account's deployments, volumes and balance, newest first.",
	}, s.listEvents)
	addTool(server, toolSpec{
		name: "list_transactions", title: "List transactions",
		text: "List transactions, newest first: holds, charges, refunds and credits. Use it to explain a cost.",
	}, func(ctx context.Context, in listTransactionsInput) (*listed[client.Transaction], error) {
		p, err := s.Client.Wallet.Transactions(ctx, client.TransactionQuery{
			Paging: in.of(), From: in.From, To: in.To, DeploymentID: in.DeploymentID,
		})
		return page(p, err, same)
	})
	addTool(server, toolSpec{
		name: "get_usage", title: "Get usage",
		text: "Get costs by day, deployment, GPU type, provider, tag, project, member or API key. The default is " +
			"the last 30 days. The 100 most expensive groups are listed.",
		enums: map[string][]string{"groupBy": texts(client.UsageGroups())},
	}, s.getUsage)
	addTool(server, toolSpec{
		name: "list_volumes", title: "List volumes",
		text: "List volumes with size, price and the deployment they are attached to. A deploy can attach volumes " +
			"of the offer's provider and region.",
	}, func(ctx context.Context, in namedInput) (*listed[client.Volume], error) {
		p, err := s.Client.Volumes.List(ctx, client.VolumeQuery{Paging: in.of(), Search: in.Search})
		return page(p, err, same)
	})
	addTool(server, toolSpec{
		name: "list_images", title: "List images",
		text: "List the account's own disk images. A quote can name one to install on an offer with customImages.",
	}, func(ctx context.Context, in namedInput) (*listed[client.Image], error) {
		p, err := s.Client.Images.List(ctx, client.ImageQuery{Paging: in.of(), Search: in.Search})
		return page(p, err, same)
	})
	addTool(server, toolSpec{
		name: "list_ssh_keys", title: "List SSH keys",
		text: "List saved public keys. A quote names the keys to authorize on the machine.",
	}, func(ctx context.Context, in namedInput) (*listed[client.SSHKey], error) {
		p, err := s.Client.SSHKeys.List(ctx, client.SSHKeyQuery{Paging: in.of(), Search: in.Search})
		return page(p, err, same)
	})
}

func (s *session) getWallet(ctx context.Context, _ noInput) (*wallet, error) {
	w, err := s.Client.Wallet.Get(ctx)
	if err != nil {
		return nil, err
	}
	out := &wallet{Wallet: *w}
	out.ActiveDeployments, out.OmittedDeployments = dearest(w.ActiveDeployments,
		func(d client.ActiveDeployment) client.Money { return d.HourlyPrice })
	out.Volumes, out.OmittedVolumes = dearest(w.Volumes,
		func(v client.BilledVolume) client.Money { return v.HourlyPrice })
	return out, nil
}

func (s *session) getUsage(ctx context.Context, in usageInput) (*usage, error) {
	q := client.UsageQuery{From: in.From, To: in.To, GroupBy: client.UsageGroup(in.GroupBy)}
	u, err := s.Client.Wallet.Usage(ctx, q)
	if err != nil {
		return nil, err
	}
	out := &usage{Usage: *u}
	if len(u.Groups) > maxListed { // days stay in order otherwise
		out.Groups, out.OmittedGroups = dearest(u.Groups, func(c client.UsageCost) client.Money { return c.Cost })
	}
	return out, nil
}

// maxCounted is how many machines list_projects counts.
const maxCounted = 1000

func (s *session) listProjects(ctx context.Context, in interval) (*projects, error) {
	u, err := s.Client.Wallet.Usage(ctx, client.UsageQuery{From: in.From, To: in.To, GroupBy: client.ByProject})
	if err != nil {
		return nil, err
	}
	byName := map[string]*project{}
	of := func(name string) *project {
		p := byName[name]
		if p == nil {
			p = &project{}
			if name != "" {
				p.Project = &name
			}
			byName[name] = p
		}
		return p
	}
	for _, g := range u.Groups {
		of(g.Key).Cost = g.Cost
	}
	out := &projects{From: u.From, To: u.To, Exact: true}
	counted := 0
	q := client.DeploymentQuery{Paging: client.Paging{Limit: client.PageSize}, Statuses: unended}
	for d, err := range s.Client.Deployments.All(ctx, q) {
		if err != nil {
			return nil, err
		}
		if counted++; counted > maxCounted {
			out.Exact = false
			break
		}
		name := ""
		if d.Project != nil {
			name = *d.Project
		}
		p := of(name)
		p.Machines, p.HourlyPrice = p.Machines+1, p.HourlyPrice+d.HourlyPrice
	}
	all := make([]project, 0, len(byName))
	for _, p := range byName {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b project) int { return cmp.Compare(nameOf(a), nameOf(b)) })
	out.Items, out.OmittedItems = dearest(all, func(p project) client.Money { return p.Cost })
	return out, nil
}

func nameOf(p project) string {
	if p.Project == nil {
		return ""
	}
	return *p.Project
}

// unended are the statuses of machines that have not ended.
var unended = []client.DeploymentStatus{
	client.DeploymentPending, client.DeploymentDeploying, client.DeploymentRunning, client.DeploymentStopped,
	client.DeploymentTerminating,
}

func (s *session) listEvents(ctx context.Context, in listEventsInput) (*listed[accountEvent], error) {
	p, err := s.Client.Events.List(ctx, client.EventQuery{
		Paging: in.of(), EventFilter: client.EventFilter{Subject: in.Subject, Types: in.Types},
	})
	return page(p, err, func(e client.Event) accountEvent {
		return accountEvent{e.Subject, deploymentEvent{e.ID, e.Type, e.Data, e.CreatedAt}}
	})
}

// accountEvent is an event of anything in the account.
type accountEvent struct {
	Subject string `json:"subject" jsonschema:"id of the deployment, volume or account"`
	deploymentEvent
}

// addMarketTools adds the tools that show what there is to deploy, and where.
func (s *session) addMarketTools(server *sdk.Server) {
	addTool(server, toolSpec{
		name: "list_gpu_types", title: "List GPU types",
		text: "List the GPU types with their number of offers and their lowest price.",
	}, func(ctx context.Context, in paging) (*listed[client.GPUType], error) {
		p, err := s.Client.GPUTypes.List(ctx, in.of())
		return page(p, err, same)
	})
	addTool(server, toolSpec{
		name: "list_providers", title: "List providers",
		text: "List the providers with their status, their number of offers and their lowest price.",
	}, func(ctx context.Context, in paging) (*listed[client.Provider], error) {
		p, err := s.Client.Providers.List(ctx, in.of())
		return page(p, err, same)
	})
	addTool(server, toolSpec{
		name: "list_regions", title: "List regions",
		text: "List the regions of all providers with their number of offers and their lowest price.",
	}, func(ctx context.Context, in paging) (*listed[client.Region], error) {
		p, err := s.Client.Regions.List(ctx, in.of())
		return page(p, err, same)
	})
	addTool(server, toolSpec{
		name: "list_volume_prices", title: "List volume prices",
		text: "List the price and the sizes of volumes in each region that has them.",
	}, func(ctx context.Context, in paging) (*listed[client.VolumePrice], error) {
		p, err := s.Client.Volumes.Pricing(ctx, in.of())
		return page(p, err, same)
	})
}
