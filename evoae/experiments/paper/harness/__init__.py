"""What every experiment needs: from a budget to raw figures, tables, statements and a page."""
