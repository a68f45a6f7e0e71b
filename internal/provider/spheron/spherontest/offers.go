package spherontest

import (
	"net/http"
	"slices"
	"strconv"
)

// Group has the offers of one type of GPU, and Offer is one row of it.
type (
	Group struct {
		GPUType     string   `json:"gpuType"`
		GPUModel    string   `json:"gpuModel"`
		DisplayName string   `json:"displayName"`
		Providers   []string `json:"providers"`
		Offers      []Offer  `json:"offers"`
	}
	Offer struct {
		Provider     string   `json:"provider"`
		OfferID      string   `json:"offerId"`
		Name         string   `json:"name"`
		VCPUs        int      `json:"vcpus"`
		Memory       int      `json:"memory"`
		Storage      int      `json:"storage"`
		GPUCount     int      `json:"gpuCount"`
		GPUMemory    int      `json:"gpu_memory"`
		Price        float64  `json:"price"`
		SpotPrice    float64  `json:"spot_price,omitempty"`
		Available    bool     `json:"available"`
		Maintenance  bool     `json:"maintenance,omitempty"`
		Clusters     []string `json:"clusters"`
		Systems      []string `json:"os_options"`
		InstanceType string   `json:"instanceType"`
		Interconnect string   `json:"interconnectType,omitempty"`
		CloudInit    bool     `json:"supportsCloudInit"`
		MinMinutes   int      `json:"minimumRuntimeMinutes,omitempty"`
	}
)

// catalog returns the first offers. All of them are invented.
func catalog() []Group {
	ubuntu := []string{"Ubuntu Server 22.04 LTS R570 CUDA 12.8", "ubuntu-24.04"}
	return []Group{
		{GPUType: "h100-sxm5", GPUModel: "H100 SXM5", DisplayName: "NVIDIA H100 SXM5", Offers: []Offer{
			{Provider: "voltage-park", OfferID: "vp-h100-8x-eth", Name: "8x H100",
				VCPUs: 104, Memory: 1024, Storage: 24000,
				GPUCount: 8, GPUMemory: 80, Price: 17.9, Available: true,
				Clusters: []string{"us-dallas-1"}, Systems: []string{"Ubuntu 22.04"}, InstanceType: "CLUSTER",
				Interconnect: "SXM5", CloudInit: true, MinMinutes: 60},
			{Provider: "data-crunch", OfferID: "1H100.80S.30V", Name: "1x H100", VCPUs: 30, Memory: 120, Storage: 500,
				GPUCount: 1, GPUMemory: 80, Price: 2.1, Available: true,
				Clusters: []string{"FIN-01", "FIN-02"}, Systems: ubuntu, InstanceType: "DEDICATED",
				Interconnect: "SXM5", CloudInit: true},
			{Provider: "data-crunch", OfferID: "1H100.80S.30V", Name: "1x H100", VCPUs: 30, Memory: 120, Storage: 500,
				GPUCount: 1, GPUMemory: 80, Price: 1.19, SpotPrice: 1.19, Available: true,
				Clusters: []string{"FIN-01"}, Systems: ubuntu, InstanceType: "SPOT", Interconnect: "SXM5",
				CloudInit: true},
		}},
		{GPUType: "h100-sxm5-baremetal", GPUModel: "H100 SXM5", DisplayName: "NVIDIA H100 SXM5 " +
			"BAREMETAL", Offers: []Offer{
			{Provider: "sesterce", OfferID: "ses-h100-bm", Name: "8x H100 " +
				"BAREMETAL", VCPUs: 192, Memory: 2048, Storage: 30000, GPUCount: 8, GPUMemory: 80, Price: 18.4,
				Available: false,
				Clusters:  []string{"eu-north"}, Systems: []string{"ubuntu-22.04"}, InstanceType: "DEDICATED",
				Interconnect: "SXM5"},
		}},
		{GPUType: "rtx-4090", GPUModel: "RTX 4090", DisplayName: "NVIDIA RTX 4090", Offers: []Offer{
			{Provider: "spheron-ai", OfferID: "sa-4090", Name: "1x RTX 4090", VCPUs: 12, Memory: 64, Storage: 250,
				GPUCount: 1, GPUMemory: 24, Price: 0.52, Available: true,
				Clusters: []string{"us-dallas-1"}, Systems: []string{"ubuntu-22.04"}, InstanceType: "DEDICATED",
				Interconnect: "PCIe"},
			{Provider: "spheron-ai", OfferID: "sa-4090", Name: "1x RTX 4090", VCPUs: 12, Memory: 64, Storage: 250,
				GPUCount: 1, GPUMemory: 24, Price: 0.49, Available: true,
				Clusters: []string{"us-dallas-1"}, Systems: []string{"ubuntu-22.04"}, InstanceType: "DEDICATED",
				Interconnect: "PCIe"},
			{Provider: "massed-compute", OfferID: "mc-4090", Name: "1x RTX 4090", VCPUs: 8, Memory: 32, Storage: 200,
				GPUCount: 1, GPUMemory: 24, Price: 0.3, Available: true, Maintenance: true,
				Clusters: []string{"desmoines"}, Systems: []string{"ubuntu-22.04"}, InstanceType: "DEDICATED"},
		}},
		{GPUType: "cpu", GPUModel: "CPU", DisplayName: "CPU node", Offers: []Offer{
			{
				Provider: "data-crunch", OfferID: "CPU.4V.16G", Name: "CPU", VCPUs: 4, Memory: 16, Storage: 100,
				Price: 0.02, Available: true, Clusters: []string{"FIN-01"}, Systems: ubuntu, InstanceType: "DEDICATED",
			},
		}},
		{GPUType: "b200", GPUModel: "B200", DisplayName: "NVIDIA B200", Offers: []Offer{
			{Provider: "data-crunch", OfferID: "8B200.240V", Name: "8x B200", VCPUs: 240, Memory: 1480, Storage: 1000,
				GPUCount: 8, GPUMemory: 180, Price: 39.1234567, Available: true,
				Clusters: []string{"FIN-01"}, Systems: ubuntu, InstanceType: "DEDICATED", Interconnect: "SXM6",
				CloudInit: true},
		}},
	}
}

// subproviders returns the sub-providers with offers.
func (c *Cloud) subproviders() (out []string) {
	for _, g := range c.offers {
		for _, o := range g.Offers {
			if !slices.Contains(out, o.Provider) {
				out = append(out, o.Provider)
			}
		}
	}
	return out
}

func (c *Cloud) providers(*http.Request) (int, any) { return http.StatusOK, c.subproviders() }

// listOffers pages through groups. The filter selects groups in which any offer has the type, and
// shows them whole.
func (c *Cloud) listOffers(r *http.Request) (int, any) {
	page, limit, err := paging(r, 10)
	if err != "" {
		return refuse(http.StatusBadRequest, "%s", err)
	}
	limit = min(limit, c.pageMost)
	groups := []Group{}
	for _, g := range c.offers {
		want := r.URL.Query().Get("instanceType")
		if want != "" && !slices.ContainsFunc(g.Offers, func(o Offer) bool { return o.InstanceType == want }) {
			continue
		}
		g.Offers = slices.Clone(g.Offers)
		for i := range g.Offers {
			g.Offers[i].Available = g.Offers[i].Available && !c.NoCapacity
		}
		groups = append(groups, g)
	}
	first := min((page-1)*limit, len(groups))
	return http.StatusOK, map[string]any{
		"data": groups[first:min(first+limit, len(groups))], "total": len(groups), "page": page, "limit": limit,
		"totalPages": (len(groups) + limit - 1) / limit,
	}
}

func paging(r *http.Request, fallback int) (page, limit int, problem string) {
	page, limit = 1, fallback
	for name, n := range map[string]*int{"page": &page, "limit": &limit} {
		if text := r.URL.Query().Get(name); text != "" {
			var err error
			if *n, err = strconv.Atoi(text); err != nil || *n < 1 || *n > 1000 {
				return 0, 0, name + " must be a number from 1"
			}
		}
	}
	return page, limit, ""
}
