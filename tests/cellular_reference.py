"""Cellular development in plain Python: cells that hold lists of links, from the definition."""

ARITY = {
    **dict.fromkeys(("SEQ", "PAR"), 2),
    **dict.fromkeys(("WEIGHT", "BIAS", "CUT", "NEXT", "WAIT"), 1),
    **dict.fromkeys(("REC", "END"), 0),
}


def tree_of(names, values):
    """(name, value, branches) from an array of symbols; END where branches find no room in it."""
    missing, names = 1, list(names)
    for place, name in enumerate(names):
        missing += ARITY[name] - 1
        rest = len(names) - place - 1
        if missing > rest:
            names[place:] = ["END"] * (rest + 1)
        if missing == 0 or missing > rest:
            break
    words = zip(names, values, strict=True)

    def node():
        name, value = next(words)
        return name, value, [node() for _ in range(ARITY[name])]

    return node()


def size_of(tree):
    return 1 + sum(map(size_of, tree[2]))


def prefix(tree):
    """The nodes of a tree as (name, value, branches), each before its branches."""
    return [tree, *(node for branch in tree[2] for node in prefix(branch))]


class Cell:
    """`inputs` are lists [sender, weight], `outputs` are receivers; both in order."""

    def __init__(self, at=None, lives=0, bias=0.0):
        self.at, self.lives, self.bias = at, lives, bias
        self.register, self.inputs, self.outputs = 0, [], []


def grow(root, num_units, lives):
    """The cells of the network in order, between an input and an output pointer."""
    source, sink, first = Cell(), Cell(), Cell(root, lives)
    first.inputs, first.outputs = [[source, 1.0]], [sink]
    source.outputs, sink.inputs = [first], [[first, 1.0]]
    cells = [first]
    while any(cell.at for cell in cells):
        for cell in cells:
            if cell.at:
                change(cell)
        after = []
        for cell in cells:
            after.append(cell)
            if not cell.at:
                continue
            name, _, branches = cell.at
            if name in ("SEQ", "PAR"):
                # Cells that are to come, each of which will take one of the units.
                if len(after) + len(cells) - cells.index(cell) - 1 < num_units:
                    after.append(divide(cell))
                else:
                    cell.at = None
            elif name == "REC" and cell.lives > 1:
                cell.at, cell.lives = root, cell.lives - 1
            else:
                cell.at = branches[0] if branches else None
        cells = after
    return source, cells, sink


def change(cell):
    """Its weights, links, bias and register."""
    name, value, _ = cell.at
    if name == "BIAS":
        cell.bias += value
    elif name == "NEXT":
        cell.register += 1
    elif name in ("WEIGHT", "CUT") and cell.inputs:
        link = cell.inputs[cell.register % len(cell.inputs)]
        if name == "WEIGHT":
            link[1] = value
        elif len(cell.inputs) > 1:
            cell.inputs = [other for other in cell.inputs if other is not link]
            link[0].outputs.remove(cell)


def divide(cell):
    """Makes the cell its first child, and returns the second."""
    name, _, branches = cell.at
    second = Cell(branches[1], cell.lives, cell.bias)
    cell.at, cell.register = branches[0], 0
    if name == "SEQ":
        second.outputs, cell.outputs = cell.outputs, [second]
        for receiver in second.outputs:
            for link in receiver.inputs:
                link[0] = second if link[0] is cell else link[0]
        second.inputs = [[cell, 1.0]]
    else:
        second.inputs, second.outputs = [list(link) for link in cell.inputs], list(cell.outputs)
        for sender, _ in cell.inputs:
            sender.outputs.insert(sender.outputs.index(cell) + 1, second)
        for receiver in cell.outputs:
            senders = [sender for sender, _ in receiver.inputs]
            place = senders.index(cell)
            receiver.inputs.insert(place + 1, [second, receiver.inputs[place][1]])
    return second
