package catalog

// GPUName, LinkName, CountryOf and Plain are tested by themselves.
var (
	GPUName   = gpuName
	LinkName  = linkName
	CountryOf = countryOf
	Plain     = plain
)

// GPUNames returns every GPU type of the table, with the sizes of its memory.
func GPUNames() map[string][]int {
	out := map[string][]int{}
	for _, m := range models {
		out[m.maker+" "+m.name] = m.sizes
		for form, sizes := range m.forms {
			out[m.maker+" "+m.name+" "+form] = sizes
		}
	}
	return out
}
