// Removes rows and entries in which every element stands, with the same attributes, below the same ancestors as two before it.
// Returns how many elements are left, and ids that stood on the page twice.
() => {
    const removable = "tr, li, details, figure, svg *, span:nth-of-type(n+20)";
    const compared = ["class", "role", "style", "type", "hidden", "open"];
    const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
    const places = new Map();
    const seen = new Map();

    const place = (element) => {
        const attributes = [...element.attributes].map(({name, value}) =>
            compared.includes(name) ? `${name}=${value}` : `${name}:${value.trim() !== ""}`);
        const ownText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
        const empty = element.textContent.trim() === "";
        return `${places.get(element.parentElement) ?? ""} > ${element.tagName} ${attributes.sort().join(" ")} ${ownText} ${empty}`;
    };
    for (const element of document.body.querySelectorAll("*")) places.set(element, place(element));

    const times = (element) => seen.get(places.get(element)) ?? 0;
    const showsNothingNew = (element) => [element, ...element.querySelectorAll("*")].every((one) => times(one) >= 2);
    const thin = (element) => {
        seen.set(places.get(element), times(element) + 1);
        for (const child of [...element.children]) {
            if (child.matches(removable) && showsNothingNew(child)) child.remove();
            else thin(child);
        }
    };
    thin(document.body);
    return {left: document.querySelectorAll("*").length, repeated: ids.filter((id, index) => ids.indexOf(id) !== index)};
}
